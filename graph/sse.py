"""One operation's results as server-sent events: graphql-sse's distinct connections mode.

After https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: `event: next` per result, then
`event: complete`. Turn events carry their `seq` as `id:`. LF line ends; a comment at once, so that the headers go
out, and after every silence.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from anyio import CancelScope
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from strawberry.types import ExecutionResult

from graph.answers import answer_of, encode
from graph.context import DeskContext
from graph.negotiation import EVENT_STREAM

COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"
MAX_PENDING = 65_536
"""Bytes that wait for a slow client; beyond, the operation waits too."""

Results = AsyncGenerator[ExecutionResult, None]


class EventStream(StreamingResponse):
    """Ends the operation with the connection, whichever way that ends."""

    def __init__(self, results: Results, context: DeskContext, heartbeat: float) -> None:
        self._events = _events(results, context, heartbeat)
        headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        super().__init__(self._events, headers=headers, media_type=EVENT_STREAM)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._events.aclose()


class _Pending:
    """What was produced and not sent yet."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.ended = False
        self.changed = asyncio.Event()
        self.room = asyncio.Event()

    async def put(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk)
        self.changed.set()
        if self.size >= MAX_PENDING:
            self.room.clear()
            await self.room.wait()

    def take(self) -> bytes:
        taken = b"".join(self.chunks)
        self.chunks.clear()
        self.size = 0
        self.changed.clear()
        self.room.set()
        return taken


async def _events(results: Results, context: DeskContext, heartbeat: float) -> AsyncGenerator[bytes, None]:
    """Bytes to send: all that is ready at once. No `asyncio.wait_for` here: on Python 3.11 it can swallow the
    cancellation that a leaving client causes."""
    pending = _Pending()
    producer = asyncio.create_task(_produce(results, context, pending))
    loop = asyncio.get_running_loop()
    try:
        yield COMMENT
        while pending.chunks or not pending.ended:
            if not pending.chunks:
                beat = loop.call_later(heartbeat, pending.changed.set)
                try:
                    await pending.changed.wait()
                finally:
                    beat.cancel()
            yield pending.take() or (b"" if pending.ended else COMMENT)
        await producer
    finally:
        producer.cancel()
        await asyncio.wait([producer])


async def _produce(results: Results, context: DeskContext, pending: _Pending) -> None:
    try:
        async with aclosing(results):
            async for result in results:
                cursor = f"id: {context.cursor}\n".encode() if context.cursor is not None else b""
                await pending.put(b"event: next\n%bdata: %b\n\n" % (cursor, encode(answer_of(result, context))))
        await pending.put(COMPLETE)
    finally:
        pending.ended = True
        pending.changed.set()
