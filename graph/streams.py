"""Results that are sent one by one over HTTP, in whichever form; and what many operations put for one client."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Self

from domain.turns import AHEAD
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
    """One operation's results. A form says how they are framed: `opening` is sent with the headers, so that these go out,
    `closing` after the last result."""

    form: ClassVar[str]
    opening: ClassVar[bytes]
    silence: ClassVar[bytes]
    closing: ClassVar[bytes]

    def __init__(self, results: Results, context: DeskContext, heartbeat: float) -> None:
        super().__init__(self._framed(), self.form, self.silence, heartbeat)
        self._answers = answers(results, context)
        self._first = [asyncio.create_task(_next(self._answers))]
        """Until it is sent."""

    async def begun(self) -> Self:
        """Once it has a first result, or after AHEAD seconds: to send headers takes time from what a turn begins with."""
        try:
            await asyncio.wait(self._first, timeout=AHEAD)
        except BaseException:
            await self.close()
            raise
        return self

    def frame(self, answer: Answer) -> bytes:
        """One result as bytes of this form."""
        raise NotImplementedError

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            for first in self._first:
                first.cancel()
            await asyncio.gather(*self._first, return_exceptions=True)
            await self._answers.aclose()

    async def _framed(self) -> AsyncGenerator[bytes, None]:
        (first,), opening = self._first, self.opening
        if not first.done():
            yield opening
            opening = b""
        self._first, together = [], await first
        del first
        if together is None:
            yield opening + self.closing
            return
        yield opening + self._frames_of(together)
        async for together in self._answers:
            yield self._frames_of(together)
        yield self.closing

    def _frames_of(self, together: Sequence[Answer]) -> bytes:
        return b"".join([self.frame(answer) for answer in together])


async def _next(answers: AsyncGenerator[Sequence[Answer], None]) -> Sequence[Answer] | None:
    """None at the end."""
    return await anext(answers, None)
