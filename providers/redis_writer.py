"""Writes this process's turns to Redis: one stream for each, whose entry ids are the events' `seq`.

One task writes for all turns, a pipeline at a time, so what is appended while one is under way goes with the next. An
entry is `{seq}-0`: a cursor is a position in the stream. Whatever leaves in doubt what Redis holds (a lost connection,
a refusal, a key that is gone) is answered by writing the turn's stream anew from its first event; the events are kept
until the last is written. A key outlives its worker by `keep` seconds, and its turn by `linger`.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from domain.events import TERMINAL, TurnEvent
from providers.event_codec import encode
from providers.redis_connection import ANSWER_WITHIN, FAILURES, Pause, end, open_redis

AT_ONCE = 2_000
"""Entries in one pipeline."""
GATHER = 0.005
"""Seconds between two pipelines: the first event goes at once, those that follow closely go together."""
FIELD = "e"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LogKeys:
    """What the log's keys in Redis are called. `wake` is a stream that lets this process's tail look again."""

    prefix: str
    wake: str

    def turn(self, turn_id: int) -> str:
        return f"{self.prefix}:turn:{turn_id}"


@dataclass(slots=True)
class _Turn:
    """`written` events are in Redis; at 0 the stream is begun anew."""

    id: int
    events: list[TurnEvent] = field(default_factory=list)
    written: int = 0
    ended_at: float | None = None


class TurnWriter:
    """Belongs to one event loop. Nobody who appends waits for Redis."""

    def __init__(self, url: str, keys: LogKeys, keep: float, linger: float) -> None:
        self._redis = open_redis(url)
        self._keys = keys
        self._keep = keep
        self._linger = linger
        self._turns: dict[int, _Turn] = {}
        self._due: dict[int, _Turn] = {}
        self._gone: list[int] = []
        self._wake_due = False
        self._renew_at = 0.0
        self._kicked = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def turns(self) -> int:
        return len(self._turns)

    async def ping(self) -> None:
        """Raises one of FAILURES. A connection that idled may be one to a Redis that is no more: the second attempt is
        made on a new one."""
        with suppress(*FAILURES):
            await self._redis.ping()
            return
        await self._redis.ping()

    def begin(self, turn_id: int) -> None:
        self._turns[turn_id] = _Turn(turn_id)

    def append(self, event: TurnEvent) -> None:
        turn = self._turns.get(event.turn_id)
        if turn is None:
            return
        turn.events.append(event)
        if isinstance(event, TERMINAL):
            turn.ended_at = asyncio.get_running_loop().time()
        self._due[turn.id] = turn
        self._kick()

    def forget(self, turn_id: int) -> None:
        """Removes the turn's stream."""
        self._turns.pop(turn_id, None)
        self._due.pop(turn_id, None)
        self._gone.append(turn_id)
        self._kick()

    def wake(self) -> None:
        """Lets the tail's blocking read return."""
        self._wake_due = True
        self._kick()

    async def close(self) -> None:
        """Writes what is left, unless Redis is away."""
        self._closing = True
        if self._task is not None:
            self._kicked.set()
            await asyncio.wait([self._task], timeout=ANSWER_WITHIN)
            await end(self._task)
        await self._redis.aclose()

    def _kick(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="write turn logs")
        self._kicked.set()

    async def _run(self) -> None:
        pause, loop = Pause(), asyncio.get_running_loop()
        while True:
            if not self._due:
                if self._closing:
                    return
                await self._until_kicked()
            self._kicked.clear()
            try:
                await self._flush(loop.time())
                pause.reset()
                if not self._closing:
                    await asyncio.sleep(GATHER)
            except FAILURES as failure:
                _log.warning("turn_log_not_written", turns=len(self._turns), reason=str(failure))
                if self._closing:
                    return
                await asyncio.sleep(pause.take())

    async def _until_kicked(self) -> None:
        try:
            async with asyncio.timeout(self._keep / 3 if self._turns else None):
                await self._kicked.wait()
        except TimeoutError:
            pass  # the keys' time is to be renewed

    async def _flush(self, now: float) -> None:
        """Raises one of FAILURES, with everything that is in doubt due again."""
        pipe = self._redis.pipeline(transaction=False)
        gone, self._gone = self._gone, []
        for turn_id in gone:
            pipe.delete(self._keys.turn(turn_id))
        if self._wake_due:
            self._wake_due = False
            pipe.xadd(self._keys.wake, {FIELD: b""}, maxlen=1, approximate=False)
            pipe.pexpire(self._keys.wake, 3_600_000)
        others = len(pipe)
        batches = self._fill(pipe, now)
        if not len(pipe):
            return
        try:
            results = await pipe.execute(raise_on_error=False)
        except FAILURES:
            for turn in self._turns.values():
                turn.written = 0
            self._due = dict(self._turns)
            self._gone += gone
            raise
        self._settle(batches, results[others:])

    def _fill(self, pipe: "Pipeline", now: float) -> list[tuple[_Turn, int, int]]:
        """Puts what is due into the pipeline; returns the turns there, with their numbers of events and commands."""
        renew = now >= self._renew_at
        if renew:
            self._renew_at = now + self._keep / 3
        batches = []
        for turn in tuple(self._turns.values() if renew else self._due.values()):
            if turn.ended_at is not None and now - turn.ended_at > self._linger + self._keep:
                self._turns.pop(turn.id, None)
                self._due.pop(turn.id, None)
                continue
            if len(pipe) >= AT_ONCE:
                self._due[turn.id] = turn
                continue
            before = len(pipe)
            try:
                events = self._fill_turn(pipe, turn, renew)
            except ValueError as failure:
                # Others read this turn from the store.
                _log.error("event_not_shared", turn_id=turn.id, reason=str(failure))
                events = 0
                self.forget(turn.id)
            batches.append((turn, events, len(pipe) - before))
        return batches

    def _fill_turn(self, pipe: "Pipeline", turn: _Turn, renew: bool) -> int:
        key, begins = self._keys.turn(turn.id), turn.written == 0
        events = turn.events[turn.written : turn.written + AT_ONCE]
        if begins and events:
            pipe.delete(key)
        for event in events:
            pipe.xadd(key, {FIELD: encode(event)}, id=f"{event.seq}-0", nomkstream=event.seq > 1)
        ends = turn.ended_at is not None and turn.written + len(events) == len(turn.events)
        if ends:
            pipe.pexpire(key, int(self._linger * 1000))
        elif turn.events and (begins or renew):
            pipe.pexpire(key, int(self._keep * 1000))
        if turn.written + len(events) == len(turn.events):
            self._due.pop(turn.id, None)
        return len(events)

    def _settle(self, batches: list[tuple[_Turn, int, int]], results: list[Any]) -> None:
        refused: Any = None
        at = 0
        for turn, events, commands in batches:
            bad = [result for result in results[at : at + commands] if _is_refusal(result)]
            at += commands
            if self._turns.get(turn.id) is not turn:
                continue
            if bad:
                refused = bad[0] or "the stream is gone"
                turn.written = 0
                self._due[turn.id] = turn
                continue
            turn.written += events
            if turn.ended_at is not None and turn.written == len(turn.events):
                del self._turns[turn.id]
        if refused is not None:
            raise RedisError(str(refused))


def _is_refusal(result: Any) -> bool:
    """Also XADD's nil and PEXPIRE's 0: the key is not there."""
    return result is None or result is False or isinstance(result, Exception)
