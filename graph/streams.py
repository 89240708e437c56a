"""Results that are sent one by one over HTTP, in whichever form; and what many operations put for one client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from graph.answers import Answer, Results, answers
from graph.context import DeskContext
from live_body import LiveBody

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

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """What to send, to the end: all that is ready at once."""
        while self._chunks or not self._ended:
            if not self._chunks:
                await self._changed.wait()
            if taken := self._take():
                yield taken

    def _take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._changed.clear()
        self._room.set()
        return taken


class ResultStream(LiveBody):
    """One operation's results. A form says how they are framed: `opening` is sent at once, so that the headers go out,
    `closing` after the last result."""

    form: ClassVar[str]
    opening: ClassVar[bytes]
    silence: ClassVar[bytes]
    closing: ClassVar[bytes]

    def __init__(self, results: Results, context: DeskContext, heartbeat: float) -> None:
        super().__init__(self._framed(results, context), self.form, self.silence, heartbeat)

    def frame(self, answer: Answer) -> bytes:
        """One result as bytes of this form."""
        raise NotImplementedError

    async def _framed(self, results: Results, context: DeskContext) -> AsyncGenerator[bytes, None]:
        yield self.opening
        async with aclosing(answers(results, context)) as sent:
            async for together in sent:
                yield b"".join([self.frame(answer) for answer in together])
        yield self.closing
