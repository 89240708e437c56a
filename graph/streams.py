"""Results that are sent one by one over HTTP, in whichever form: gathered while a slow client does not read, and what
fills a silence."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from anyio import CancelScope
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from graph.answers import Answer, Results, answers
from graph.context import DeskContext

MAX_PENDING = 65_536
"""Bytes that wait for a slow client; beyond, the operation waits too."""


class Outbox:
    """What was produced for one client and not sent yet. Many may put, one takes."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    def add(self, chunk: bytes) -> None:
        """Whether there is room or not."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._changed.set()

    async def put(self, chunk: bytes) -> None:
        """Returns when there is room for more."""
        self.add(chunk)
        if self._size >= MAX_PENDING:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Nothing will be put any more."""
        self._ended = True
        self._changed.set()

    async def chunks(self, silence: bytes, heartbeat: float) -> AsyncGenerator[bytes, None]:
        """What to send, to the end: all that is ready at once, and `silence` after each `heartbeat` seconds without
        anything. No `asyncio.wait_for` here: on Python 3.11 it can swallow the cancellation that a leaving client
        causes."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        timer: asyncio.TimerHandle

        def ring() -> None:
            """One timer, whatever is sent: when it rings too early, it is set anew."""
            nonlocal timer
            now = loop.time()
            silent = now >= sent_at + heartbeat
            timer = loop.call_at((now if silent else sent_at) + heartbeat, ring)
            if silent:
                self._changed.set()

        timer = loop.call_later(heartbeat, ring)
        try:
            while self._chunks or not self._ended:
                if not self._chunks:
                    await self._changed.wait()
                yield self._take() or (b"" if self._ended else silence)
                sent_at = loop.time()
        finally:
            timer.cancel()

    def _take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._changed.clear()
        self._room.set()
        return taken


class LiveBody(StreamingResponse):
    """Bytes that are sent as they come. Ends with the connection, whichever way that ends."""

    def __init__(self, body: AsyncGenerator[bytes, None], form: str) -> None:
        self._body = body
        headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        super().__init__(body, headers=headers, media_type=form)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self.close()

    async def close(self) -> None:
        await self._body.aclose()


class ResultStream(LiveBody):
    """One operation's results. A form says how they are framed: `opening` is sent at once, so that the headers go out,
    `closing` after the last result."""

    form: ClassVar[str]
    opening: ClassVar[bytes]
    silence: ClassVar[bytes]
    closing: ClassVar[bytes]

    def __init__(self, results: Results, context: DeskContext, heartbeat: float) -> None:
        super().__init__(self._chunks(results, context, heartbeat), self.form)

    def frame(self, answer: Answer) -> bytes:
        """One result as bytes of this form."""
        raise NotImplementedError

    async def _chunks(self, results: Results, context: DeskContext, heartbeat: float) -> AsyncGenerator[bytes, None]:
        outbox = Outbox()
        producer = asyncio.create_task(self._produce(results, context, outbox))
        try:
            yield self.opening
            async with aclosing(outbox.chunks(self.silence, heartbeat)) as chunks:
                async for chunk in chunks:
                    yield chunk
            await producer
        finally:
            producer.cancel()
            await asyncio.wait([producer])

    async def _produce(self, results: Results, context: DeskContext, outbox: Outbox) -> None:
        try:
            async with aclosing(answers(results, context)) as sent:
                async for answer in sent:
                    await outbox.put(self.frame(answer))
            await outbox.put(self.closing)
        finally:
            outbox.end()
