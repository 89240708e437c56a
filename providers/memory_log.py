"""The turn log of a single process: events in memory, for followers on the same event loop."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import cast

from domain.errors import DeskError
from domain.events import TERMINAL, AnswerDelta, TurnEvent
from domain.ports import LogReader, TurnLog

RECENT = 64
"""Events of a turn that are kept as they are, at least: those that its followers are about to read."""


class _Deltas:
    """Deltas that came one after the other, without an object for each."""

    __slots__ = ("_ends", "_first", "_text", "_turn_id")

    def __init__(self, deltas: Sequence[AnswerDelta]) -> None:
        self._turn_id, self._first = deltas[0].turn_id, deltas[0].seq
        self._text = "".join(delta.text for delta in deltas)
        self._ends = array("I", accumulate(len(delta.text) for delta in deltas))

    def __iter__(self) -> Iterator[AnswerDelta]:
        start = 0
        for seq, end in enumerate(self._ends, self._first):
            yield AnswerDelta(seq, self._turn_id, self._text[start:end])
            start = end


class TurnEvents:
    """One turn's events in memory: the older deltas packed, since a long answer has thousands."""

    __slots__ = ("_packed", "_recent", "closed", "error", "last", "readers")

    def __init__(self) -> None:
        self.last = 0
        """The `seq` of the newest event."""
        self.readers: set[TurnEventsReader] = set()
        self.closed = False
        self.error: DeskError | None = None
        self._packed: list[tuple[int, Iterable[TurnEvent]]] = []
        """Runs of events, each with the `seq` of its last."""
        self._recent: list[TurnEvent] = []

    def append(self, event: TurnEvent) -> None:
        """Raises ValueError for an event out of its order."""
        if event.seq != self.last + 1:
            raise ValueError(f"turn {event.turn_id}: event {event.seq} follows event {self.last}")
        self.last = event.seq
        self._recent.append(event)
        if len(self._recent) == 2 * RECENT:
            self._pack()
        if isinstance(event, TERMINAL):
            self.closed = True
        self.wake()

    def after(self, seq: int) -> list[TurnEvent]:
        """The next events behind that one: RECENT of the older ones at most, since each who is behind gets objects of
        its own."""
        first = self.last - len(self._recent) + 1
        if seq >= first - 1:
            return self._recent[max(0, seq + 1 - first) :]
        _, run = self._packed[bisect_right(self._packed, seq, key=lambda packed: packed[0])]
        return [event for event in run if event.seq > seq]

    def fail(self, error: DeskError) -> None:
        """What its readers get after the events that are there."""
        self.error = error
        self.wake()

    def wake(self) -> None:
        """Lets those who wait look again."""
        for reader in self.readers:
            reader.wake()

    def _pack(self) -> None:
        older, self._recent = self._recent[:RECENT], self._recent[RECENT:]
        for is_delta, run in groupby(older, lambda event: type(event) is AnswerDelta):
            events = list(run)
            packed = _Deltas(cast("list[AnswerDelta]", events)) if is_delta else events
            self._packed.append((events[-1].seq, packed))


class TurnEventsReader(LogReader):
    """Reads the events with seq > `after`, at its own pace."""

    __slots__ = ("_cursor", "_error", "_log", "_waiter")

    def __init__(self, log: TurnEvents, after: int) -> None:
        self._log = log
        self._cursor = after
        self._waiter: asyncio.Future[None] | None = None
        self._error: DeskError | None = None

    async def read(self) -> Sequence[TurnEvent]:
        log = self._log
        while True:
            # What may be tried again ends after what is there: it might be the turn's last event.
            if self._error is not None and not self._error.retryable:
                raise self._error
            if log.last > self._cursor:
                batch = log.after(self._cursor)
                self._cursor = batch[-1].seq
                if self._cursor < log.last:
                    await asyncio.sleep(0)  # who has much to catch up on must not keep the others from theirs
                return batch
            if self._error is not None and not log.closed:
                raise self._error
            if log.error is not None:
                raise log.error
            if log.closed:
                return ()
            self._waiter = asyncio.get_running_loop().create_future()
            log.readers.add(self)
            try:
                await self._waiter
            finally:
                self._waiter = None
                log.readers.discard(self)

    def interrupt(self, error: DeskError) -> None:
        self._error = self._error or error
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class MemoryTurnLog(TurnLog):
    """Keeps an ended turn for `linger` seconds; later followers read it from the store."""

    name = "memory (one process)"

    def __init__(self, linger: float = 60) -> None:
        self._linger = linger
        self._logs: dict[int, TurnEvents] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    async def open(self, turn_id: int) -> None:
        self._logs[turn_id] = TurnEvents()

    def append(self, turn_id: int, event: TurnEvent) -> None:
        log = self._logs[turn_id]
        log.append(event)
        if log.closed:
            self._forget_later(turn_id)

    def drop(self, turn_id: int, error: DeskError) -> None:
        log = self._logs.pop(turn_id, None)
        if log is not None:
            log.fail(error)

    def reader(self, turn_id: int, after: int) -> TurnEventsReader | None:
        log = self._logs.get(turn_id)
        return None if log is None else TurnEventsReader(log, after)

    async def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _forget_later(self, turn_id: int) -> None:
        def forget() -> None:
            self._timers.discard(timer)
            self._logs.pop(turn_id, None)

        timer = asyncio.get_running_loop().call_later(self._linger, forget)
        self._timers.add(timer)
