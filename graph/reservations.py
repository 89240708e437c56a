"""Streams that users reserved and may open once: what is behind graphql-sse's single connection mode, without its HTTP.

A reservation takes operations from the start. It is over when it was not opened in time, when its connection closes,
when the login that made or opened it ends, and when the server stops.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing
from typing import Any

from graphql import GraphQLError

from domain.errors import DeskError, NotFound, RateLimited, ServiceUnavailable
from domain.model import Viewer
from domain.streams import OpenStreams
from graph.answers import Results, answers, encode
from graph.context import DeskContext
from graph.errors import GraphQLCode, tell, tell_desk_error
from graph.sse import COMMENT
from graph.streams import Outbox

TOKEN_BYTES = 32
MAX_PER_USER = 50
"""One for each open page of a user's, on all devices."""
MAX_RESERVATIONS = 10_000
"""In all; one that does nothing costs a few KB."""
MAX_OPERATIONS = 100
"""That one stream may carry at a time."""
FAREWELL = 0.25
"""Seconds in which the operations of a stream that is ended may say so, before it closes."""


class Taken(GraphQLError):
    """What can be had once, and is."""

    def __init__(self, message: str, code: GraphQLCode) -> None:
        super().__init__(message, extensions={"code": code})


class Reservation:
    """One stream, before it is open and while it is. Its operations' results come as `event: next` with `{id, payload}`
    each, then `event: complete` with `{id}`."""

    def __init__(self, token: str, user_id: int, request_id: str, released: Callable[["Reservation"], None]) -> None:
        self.token = token
        self.user_id = user_id
        self._request_id = request_id
        self._released = released
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._outbox = Outbox()
        self._watched = ExitStack()
        self._opened = False
        self._farewell: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        return self._farewell is not None

    def hold(self, streams: OpenStreams, viewer: Viewer, open_within: float) -> None:
        """Until `open` comes, or `open_within` seconds have passed."""
        self._watched.enter_context(streams.watch(viewer, self._end))
        expiry = asyncio.get_running_loop().call_later(open_within, self._end, NotFound())
        self._watched.callback(expiry.cancel)

    def open(self, streams: OpenStreams, viewer: Viewer) -> None:
        """From now on it lives as long as its connection and the login of this viewer. Raises Taken."""
        if self._opened:
            raise Taken("This stream is open already.", GraphQLCode.STREAM_TAKEN)
        self._opened = True
        held = self._watched
        self._watched = ExitStack()
        self._watched.enter_context(streams.watch(viewer, self._end))
        held.close()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield COMMENT
        async with aclosing(self._outbox.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    def run(self, operation_id: str, results: Results, context: DeskContext) -> None:
        """Raises Taken, or RateLimited when so many run already."""
        if operation_id in self._operations:
            raise Taken("An operation with this id runs on the stream already.", GraphQLCode.OPERATION_ID_TAKEN)
        if len(self._operations) >= MAX_OPERATIONS:
            raise RateLimited(1)
        task = asyncio.create_task(self._run(operation_id, results, context))
        self._operations[operation_id] = task
        task.add_done_callback(lambda _: self._operations.pop(operation_id))

    async def stop(self, operation_id: str) -> None:
        """One that runs no longer is stopped already."""
        task = self._operations.get(operation_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """When its connection has."""
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._leave())
        await self._farewell

    async def _run(self, operation_id: str, results: Results, context: DeskContext) -> None:
        try:
            async with aclosing(answers(results, context)) as sent:
                async for together in sent:
                    await self._outbox.put(b"".join([_next(operation_id, answer.body) for answer in together]))
            await self._outbox.put(_complete(operation_id))
        except Exception as error:
            told = tell(GraphQLError("failed", original_error=error), context.request_id)
            self._fail(operation_id, told)

    def _fail(self, operation_id: str, told: dict[str, Any]) -> None:
        self._outbox.add(_next(operation_id, encode({"errors": [told]})))
        self._outbox.add(_complete(operation_id))

    def _end(self, error: DeskError) -> None:
        """The login's end, the server's, or that nobody opened it."""
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._say_farewell(error))

    async def _say_farewell(self, error: DeskError) -> None:
        """Followers of turns were told at the same time, and end with an error of their own first."""
        if self._opened and self._operations:
            await asyncio.wait(self._operations.values(), timeout=FAREWELL)
        cut = tuple(self._operations)
        await self._leave()
        for operation_id in cut:
            self._fail(operation_id, tell_desk_error(error, self._request_id))
        self._outbox.end()

    async def _leave(self) -> None:
        tasks = tuple(self._operations.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._watched.close()
        self._released(self)


class Reservations:
    """Those of this process. Somebody else's and a missing one are both NotFound."""

    def __init__(self, open_within: float) -> None:
        self._open_within = open_within
        self._held: dict[str, Reservation] = {}
        self._users: Counter[int] = Counter()

    def reserve(self, streams: OpenStreams, viewer: Viewer, request_id: str) -> Reservation:
        """Raises RateLimited when the user has too many, and ServiceUnavailable."""
        if self._users[viewer.user_id] >= MAX_PER_USER:
            raise RateLimited(round(self._open_within) or 1)
        if len(self._held) >= MAX_RESERVATIONS:
            raise ServiceUnavailable("Too many streams are reserved here. Try again in a moment.")
        reservation = Reservation(secrets.token_urlsafe(TOKEN_BYTES), viewer.user_id, request_id, self._release)
        self._held[reservation.token] = reservation
        self._users[viewer.user_id] += 1
        reservation.hold(streams, viewer, self._open_within)
        if reservation.over:
            raise ServiceUnavailable
        return reservation

    def find(self, token: str, viewer: Viewer) -> Reservation:
        reservation = self._held.get(token)
        if reservation is None or reservation.over or reservation.user_id != viewer.user_id:
            raise NotFound("There is no such stream: reserve one with PUT.")
        return reservation

    def _release(self, reservation: Reservation) -> None:
        if self._held.pop(reservation.token, None) is not None:
            self._users[reservation.user_id] -= 1
            if not self._users[reservation.user_id]:
                del self._users[reservation.user_id]


def _next(operation_id: str, body: bytes) -> bytes:
    """`body` is the response map as JSON."""
    return b'event: next\ndata: {"id":%b,"payload":%b}\n\n' % (encode(operation_id), body)


def _complete(operation_id: str) -> bytes:
    return b"event: complete\ndata: %b\n\n" % encode({"id": operation_id})
