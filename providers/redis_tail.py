"""Follows the turns of other processes: one connection reads all followed streams into copies that many readers share.

A copy holds the turn's events from its first. It is let go with its last reader, with the turn's last event, and when
it cannot go on: Redis is away, the stream is not (or no longer) there, or an event is missing. Then its readers get
NotFound after what they had to read, and the store tells the rest.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import structlog

from domain.errors import NotFound
from domain.ports import LogReader
from providers.event_codec import decode
from providers.memory_log import TurnEvents, TurnEventsReader
from providers.redis_connection import FAILURES, Pause, end, open_redis
from providers.redis_writer import FIELD, LogKeys

BLOCK = 1.0
"""Seconds that a read waits, and between looks whether the streams that are followed still exist."""
GATHER = 0.004
"""Seconds between two reads: what comes meanwhile is read together."""
AT_ONCE = 200
"""Entries of each stream in one read."""
_FIELD = FIELD.encode()
_log = structlog.get_logger()


@dataclass(slots=True)
class _Copy:
    turn_id: int
    key: str
    events: TurnEvents = field(default_factory=TurnEvents)
    readers: WeakSet[TurnEventsReader] = field(default_factory=WeakSet)
    found: bool = False


class TurnTail:
    """Belongs to one event loop. `wake` makes a blocking read return (through Redis: it is the only way)."""

    def __init__(self, url: str, keys: LogKeys, wake: Callable[[], None]) -> None:
        self._redis = open_redis(url, blocks=BLOCK)
        self._keys = keys
        self._wake = wake
        self._copies: dict[int, _Copy] = {}
        self._wanted = asyncio.Event()
        self._away = False
        self._task: asyncio.Task[None] | None = None

    def reader(self, turn_id: int, after: int) -> LogReader | None:
        """None while Redis is away."""
        if self._away:
            return None
        copy = self._copies.get(turn_id)
        if copy is None:
            copy = self._copies[turn_id] = _Copy(turn_id, self._keys.turn(turn_id))
            if self._wanted.is_set():
                self._wake()
            self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="follow turn logs")
        reader = TurnEventsReader(copy.events, after)
        copy.readers.add(reader)
        return reader

    async def close(self) -> None:
        await end(self._task)
        self._let_go(tuple(self._copies.values()))
        await self._redis.aclose()

    async def _run(self) -> None:
        pause = Pause()
        while True:
            await self._wanted.wait()
            try:
                await self._follow(pause)
                self._wanted.clear()
            except FAILURES as failure:
                _log.warning("turn_log_not_read", turns=len(self._copies), reason=str(failure))
                self._away = True
                self._let_go(tuple(self._copies.values()))
                self._wanted.clear()
                await asyncio.sleep(pause.take())
                self._away = False

    async def _follow(self, pause: Pause) -> None:
        """Returns when nothing is followed any more. Raises one of FAILURES."""
        loop = asyncio.get_running_loop()
        woken, look_at = b"0", loop.time() + BLOCK
        while True:
            for copy in [copy for copy in self._copies.values() if not copy.readers]:
                del self._copies[copy.turn_id]
            if not self._copies:
                return
            if loop.time() >= look_at:
                look_at = loop.time() + BLOCK
                await self._look_for(tuple(self._copies.values()))
            else:
                await self._look_for([copy for copy in self._copies.values() if not copy.found])
            places: dict[Any, Any] = {copy.key: f"{copy.events.last}-0" for copy in self._copies.values()}
            places[self._keys.wake] = woken
            reply: Any = await self._redis.xread(places, count=AT_ONCE, block=int(BLOCK * 1000))
            pause.reset()
            copies = {copy.key: copy for copy in self._copies.values()}
            for name, entries in reply:
                if (key := name.decode()) == self._keys.wake:
                    woken = entries[-1][0]
                elif key in copies:
                    self._take(copies[key], entries)
            if reply:
                await asyncio.sleep(GATHER)

    async def _look_for(self, copies: Iterable[_Copy]) -> None:
        copies = tuple(copies)
        if not copies:
            return
        pipe = self._redis.pipeline(transaction=False)
        for copy in copies:
            pipe.exists(copy.key)
        there = await pipe.execute()
        for copy, is_there in zip(copies, there, strict=True):
            copy.found = bool(is_there)
        self._let_go(copy for copy in copies if not copy.found)

    def _take(self, copy: _Copy, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        try:
            for _, fields in entries:
                copy.events.append(decode(fields[_FIELD]))
        except (KeyError, ValueError) as failure:
            _log.warning("turn_log_broken", turn_id=copy.turn_id, reason=str(failure))
            self._let_go([copy])
        if copy.events.closed:
            self._copies.pop(copy.turn_id, None)

    def _let_go(self, copies: Iterable[_Copy]) -> None:
        for copy in copies:
            self._copies.pop(copy.turn_id, None)
            copy.events.fail(NotFound("The shared turn log does not hold this turn."))
