"""The turn log of a single process: events in memory, for followers on the same event loop."""

import asyncio
from collections.abc import Sequence

from domain.errors import DeskError
from domain.events import TERMINAL, TurnEvent
from domain.ports import LogReader, TurnLog


class TurnEvents:
    """One turn's events in memory. The event with seq n stands at index n - 1."""

    __slots__ = ("closed", "error", "events", "readers")

    def __init__(self) -> None:
        self.events: list[TurnEvent] = []
        self.readers: set[TurnEventsReader] = set()
        self.closed = False
        self.error: DeskError | None = None

    def append(self, event: TurnEvent) -> None:
        """Raises ValueError for an event out of its order."""
        if event.seq != len(self.events) + 1:
            raise ValueError(f"turn {event.turn_id}: event {event.seq} follows event {len(self.events)}")
        self.events.append(event)
        if isinstance(event, TERMINAL):
            self.closed = True
        self.wake()

    def fail(self, error: DeskError) -> None:
        """What its readers get after the events that are there."""
        self.error = error
        self.wake()

    def wake(self) -> None:
        """Lets those who wait look again."""
        for reader in self.readers:
            reader.wake()


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
            if len(log.events) > self._cursor:
                batch = log.events[self._cursor :]
                self._cursor = len(log.events)
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
