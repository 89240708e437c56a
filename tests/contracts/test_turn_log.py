"""The suite of the TurnLog port, run over every implementation.

Where a log is shared by processes, one that did not write a turn follows it too: `redis, elsewhere` writes with one
log and reads with another that has only Redis in common with it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from domain.errors import NotFound, ServiceUnavailable, Unauthenticated
from domain.events import AnswerDelta, SourcesFound, TurnCompleted, TurnEvent
from domain.model import Message, Role
from domain.ports import LogReader, TurnLog
from providers.memory_log import MemoryTurnLog
from providers.redis_log import RedisTurnLog
from tests.redis_servers import redis_prefix

TURN = 7
LINGER = 0.3


@dataclass(frozen=True)
class Log:
    """Where a test writes, where it reads, and how it waits until the reading side could see event `seq`."""

    writes: TurnLog
    reads: TurnLog
    shown: Callable[[int], Awaitable[None]]

    async def begin(self) -> None:
        """Opens the turn with its first event."""
        await self.writes.open(TURN)
        self.writes.append(TURN, delta(1))
        await self.shown(1)


@pytest.fixture
def linger() -> float:
    return LINGER


@pytest.fixture(params=["memory", "redis", "redis, elsewhere"])
async def log(request: pytest.FixtureRequest, linger: float) -> AsyncIterator[Log]:
    if request.param == "memory":
        memory = MemoryTurnLog(linger)
        yield Log(memory, memory, _at_once)
        await memory.close()
        return
    with redis_prefix() as (url, prefix):
        here = RedisTurnLog(url, prefix, linger)
        elsewhere = RedisTurnLog(url, prefix, linger)
        async with Redis.from_url(url) as redis:

            async def in_redis(seq: int) -> None:
                async with asyncio.timeout(5):
                    while not await redis.xrange(f"{prefix}:turn:{TURN}", min=f"{seq}-0", count=1):
                        await asyncio.sleep(0.01)

            if request.param == "redis":
                yield Log(here, here, _at_once)
            else:
                yield Log(here, elsewhere, in_redis)
        await elsewhere.close()
        await here.close()


async def _at_once(seq: int) -> None:
    pass


def delta(seq: int) -> AnswerDelta:
    return AnswerDelta(seq, TURN, f"word{seq} ")


def completed(seq: int) -> TurnCompleted:
    answer = Message(2, 1, TURN, Role.ASSISTANT, "all", datetime.now(UTC))
    return TurnCompleted(seq, TURN, answer)


def follower(log: Log, after: int = 0) -> LogReader:
    reader = log.reads.reader(TURN, after)
    assert reader is not None
    return reader


async def everything(reader: LogReader) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    while batch := await reader.read():
        events += batch
    return events


async def holds(log: Log, turn_id: int) -> bool:
    reader = log.reads.reader(turn_id, 0)
    try:
        return reader is not None and bool(await reader.read())
    except NotFound:
        return False


async def test_every_follower_sees_every_event_once_and_in_order(log: Log) -> None:
    await log.begin()
    followers = [asyncio.create_task(everything(follower(log))) for _ in range(5)]
    for seq in range(2, 200):
        log.writes.append(TURN, delta(seq))
        if seq % 7 == 0:
            await asyncio.sleep(0)
        if seq % 50 == 0:
            await log.shown(seq)
    late = asyncio.create_task(everything(follower(log)))
    last = completed(200)
    log.writes.append(TURN, last)
    for seen in await asyncio.gather(*followers, late):
        assert seen == [*(delta(seq) for seq in range(1, 200)), last]


async def test_a_cursor_skips_what_was_seen(log: Log) -> None:
    await log.begin()
    log.writes.append(TURN, delta(2))
    log.writes.append(TURN, delta(3))
    log.writes.append(TURN, completed(4))
    await log.shown(4)
    assert [event.seq for event in await everything(follower(log, after=2))] == [3, 4]
    assert await everything(follower(log, after=4)) == []


async def test_a_cursor_ahead_of_the_log_waits_for_its_place(log: Log) -> None:
    await log.begin()
    ahead = asyncio.create_task(everything(follower(log, after=2)))
    await asyncio.sleep(0)
    log.writes.append(TURN, delta(2))
    await log.shown(2)
    log.writes.append(TURN, delta(3))
    log.writes.append(TURN, completed(4))
    assert [event.seq for event in await ahead] == [3, 4]


@pytest.mark.parametrize("linger", [30.0])  # however long a busy machine takes to read it
async def test_a_long_answer_is_the_same_from_every_cursor(log: Log) -> None:
    """However a log keeps it: emoji, empty-handed cursors, and sources between the deltas."""
    await log.writes.open(TURN)
    early, written = None, list[TurnEvent]()
    for seq in range(1, 600):
        found = (
            SourcesFound(seq, TURN, ()) if seq in (1, 70, 71, 300) else AnswerDelta(seq, TURN, f"{seq} 😀é" * (seq % 4))
        )
        written.append(found)
        log.writes.append(TURN, found)
        if seq == 5:
            await log.shown(5)
            early = follower(log, 2)
    places = (0, 1, 63, 64, 69, 70, 71, 72, 127, 128, 299, 500, 535, 536, 599)
    await log.shown(599)
    assert early is not None
    followers = [follower(log, after) for after in places]
    written.append(completed(600))
    log.writes.append(TURN, written[-1])
    seen = await asyncio.gather(*(everything(reader) for reader in (early, *followers)))
    assert seen == [written[after:] for after in (2, *places)]


async def test_a_gap_is_refused(log: Log) -> None:
    await log.begin()
    with pytest.raises(ValueError, match="event 3 follows event 1"):
        log.writes.append(TURN, delta(3))


async def test_an_interrupted_follower_ends_alone(log: Log) -> None:
    await log.begin()
    first, second = follower(log, after=1), follower(log, after=1)
    waiting, staying = asyncio.create_task(first.read()), asyncio.create_task(everything(second))
    await asyncio.sleep(0)
    first.interrupt(Unauthenticated("gone"))
    with pytest.raises(Unauthenticated, match="gone"):
        await waiting
    log.writes.append(TURN, completed(2))
    assert [event.seq for event in await staying] == [2]


async def test_a_follower_that_may_come_back_gets_what_is_there_first(log: Log) -> None:
    await log.begin()
    ahead, early, late, refused = (follower(log) for _ in range(4))
    assert [event.seq for event in await ahead.read()] == [1]
    early.interrupt(ServiceUnavailable())
    refused.interrupt(Unauthenticated())
    with pytest.raises(Unauthenticated):
        await refused.read()
    assert [event.seq for event in await early.read()] == [1]
    with pytest.raises(ServiceUnavailable):
        await early.read()
    log.writes.append(TURN, completed(2))
    assert [event.seq for event in await ahead.read()] == [2]
    late.interrupt(ServiceUnavailable())
    assert [event.seq for event in await everything(late)] == [1, 2]


async def test_dropping_a_turn_tells_its_followers_after_what_they_had_to_read(log: Log) -> None:
    await log.begin()
    reader, late = follower(log), follower(log)
    assert [event.seq for event in await reader.read()] == [1]
    log.writes.drop(TURN, NotFound("deleted"))
    assert [event.seq for event in await late.read()] == [1]
    for ended in (reader, late):
        with pytest.raises(NotFound):
            await ended.read()
    assert not await holds(log, TURN)


async def test_an_ended_turn_is_forgotten_after_a_while_but_not_under_its_readers(log: Log) -> None:
    await log.begin()
    slow = follower(log)
    log.writes.append(TURN, completed(2))
    await log.shown(2)
    assert await holds(log, TURN)
    async with asyncio.timeout(5):
        while await holds(log, TURN):
            await asyncio.sleep(0.01)
    assert [event.seq for event in await everything(slow)] == [1, 2]


async def test_an_unknown_turn_is_not_held(log: Log) -> None:
    assert not await holds(log, 999)
