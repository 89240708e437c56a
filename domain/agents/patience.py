"""How long an answer model is waited for: until it begins, and while it writes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from domain.errors import ModelUnavailable

LATE = "The answer model did not begin to answer in time."
SILENT = "The answer model fell silent."


class ModelSilent(ModelUnavailable):
    """The patience with a model is over."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: from the call to the first token, and from then on between two reads of the stream."""

    first_token: float = 60
    silence: float = 30


ORDINARY = Patience()


class Waiting:
    """One call of a model, to be entered. What the model writes goes to `feed`, and on to `sink`; `feed` with no text is
    a sign of life once there was some. Cancels the call and raises ModelSilent when the patience is over.

    There is one timer of a silence, whatever is written: when it rings too early, since something came meanwhile, it
    is set anew."""

    def __init__(self, patience: Patience, sink: Callable[[str], None]) -> None:
        self._patience = patience
        self.sink = sink
        self._loop = asyncio.get_running_loop()
        self._timeout = asyncio.timeout(None)
        self._last: float | None = None
        """When something came last; None before the first token."""
        self._timer: asyncio.TimerHandle

    @property
    def begun(self) -> bool:
        """Whether there was text."""
        return self._last is not None

    def feed(self, text: str) -> None:
        if self._last is not None:
            self._last = self._loop.time()
        elif text:
            self._last = self._loop.time()
            self._timer.cancel()
            self._timer = self._loop.call_later(self._patience.silence, self._look)
        self.sink(text)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(self._patience.first_token, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, raised, trace)
        except TimeoutError as late:
            raise ModelSilent(LATE if self._last is None else SILENT) from late

    def _look(self) -> None:
        now = self._loop.time()
        until = now if self._last is None else self._last + self._patience.silence
        if until > now:
            self._timer = self._loop.call_at(until, self._look)
        else:
            self._timeout.reschedule(now)
