"""What the shared log and signals do beyond their ports: connections, expiry, gaps, and a Redis that comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from domain.errors import NotFound
from domain.events import AnswerDelta, TurnCompleted, TurnEvent
from domain.model import Message, Role
from domain.ports import LogReader, Signal, StopRequested
from providers.event_codec import encode
from providers.redis_log import RedisTurnLog
from providers.redis_signals import RedisSignals
from tests.redis_servers import RedisServer, own_redis

TURN = 7
KEY = "t:turn:7"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_redis() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator["Redis"]:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        yield client


@asynccontextmanager
async def logs(server: RedisServer, keep: float = 30, linger: float = 60) -> AsyncIterator[list[RedisTurnLog]]:
    """Of two processes, of which the first runs the turns."""
    async with AsyncExitStack() as stack:
        made = [RedisTurnLog(server.url, "t", linger, keep) for _ in range(2)]
        for log in made:
            stack.push_async_callback(log.close)
        yield made


def delta(seq: int, turn_id: int = TURN) -> AnswerDelta:
    return AnswerDelta(seq, turn_id, f"word{seq} ")


def completed(seq: int, turn_id: int = TURN) -> TurnCompleted:
    return TurnCompleted(seq, turn_id, Message(2, 1, turn_id, Role.ASSISTANT, "all", datetime.now(UTC)))


async def everything(reader: LogReader | None) -> list[int]:
    """The numbers of the events to the turn's end."""
    assert reader is not None
    events: list[TurnEvent] = []
    while batch := await reader.read():
        events += batch
    return [event.seq for event in events]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


async def seqs(redis: "Redis") -> list[int]:
    entries: Any = await redis.xrange(KEY)
    return [int(place.split(b"-")[0]) for place, _ in entries]


async def test_any_number_of_followers_costs_two_connections(server: RedisServer, redis: "Redis") -> None:
    async with logs(server) as (here, there):
        for turn_id in range(1, 101):
            await here.open(turn_id)
            here.append(turn_id, delta(1, turn_id))
        await until(lambda: redis.exists("t:turn:100"))
        readers = [there.reader(turn_id, 0) for turn_id in range(1, 101) for _ in range(2)]
        followers = [asyncio.create_task(everything(reader)) for reader in readers]
        for seq in range(2, 20):
            for turn_id in range(1, 101):
                here.append(turn_id, delta(seq, turn_id))
            await asyncio.sleep(0)
        clients: Any = await redis.client_list()
        for turn_id in range(1, 101):
            here.append(turn_id, completed(20, turn_id))
        assert await asyncio.gather(*followers) == [list(range(1, 21))] * 200
        assert len(clients) <= 1 + 2 * 2  # this test's own, and two for each process


async def test_entries_expire_also_those_of_a_process_that_died(server: RedisServer, redis: "Redis") -> None:
    async with logs(server, keep=20, linger=5) as (here, _):
        await here.open(TURN)
        here.append(TURN, delta(1))
        await until(lambda: redis.exists(KEY))
        assert 10_000 < await redis.pttl(KEY) <= 20_000
        here.append(TURN, completed(2))
        await until(lambda: redis.xrange(KEY, min="2-0"))
        assert await redis.pttl(KEY) <= 5_000


async def test_a_running_turn_is_kept_for_as_long_as_its_process_lives(server: RedisServer, redis: "Redis") -> None:
    async with logs(server, keep=0.3) as (here, there):
        await here.open(TURN)
        here.append(TURN, delta(1))
        await until(lambda: redis.exists(KEY))
        follower = asyncio.create_task(everything(there.reader(TURN, 0)))
        await asyncio.sleep(1)
        assert await redis.exists(KEY)
        here.append(TURN, completed(2))
        assert await follower == [1, 2]


async def test_a_follower_of_a_process_that_died_is_sent_to_the_store(server: RedisServer, redis: "Redis") -> None:
    async with logs(server) as (_, there):
        await redis.xadd(KEY, {"e": encode(delta(1))}, id="1-0")
        await redis.pexpire(KEY, 500)
        reader = there.reader(TURN, 0)
        assert reader is not None
        assert [event.seq for event in await reader.read()] == [1]
        async with asyncio.timeout(5):
            with pytest.raises(NotFound):
                await reader.read()


@pytest.mark.parametrize("third", [encode(delta(4)), b"from the future"])
async def test_a_stream_that_is_not_whole_is_told_up_to_there(
    server: RedisServer, redis: "Redis", third: bytes
) -> None:
    async with logs(server) as (_, there):
        for seq, data in ((1, encode(delta(1))), (2, encode(delta(2))), (4, third), (5, encode(completed(5)))):
            await redis.xadd(KEY, {"e": data}, id=f"{seq}-0")
        reader = there.reader(TURN, 1)
        assert reader is not None
        assert [event.seq for event in await reader.read()] == [2]
        with pytest.raises(NotFound):
            await reader.read()


async def test_a_stream_that_was_evicted_is_written_again_whole(server: RedisServer, redis: "Redis") -> None:
    async with logs(server) as (here, there):
        await here.open(TURN)
        here.append(TURN, delta(1))
        await until(lambda: redis.exists(KEY))
        await redis.delete(KEY)
        here.append(TURN, delta(2))
        await until(lambda: redis.xrange(KEY, min="2-0"))
        assert await seqs(redis) == [1, 2]
        here.append(TURN, completed(3))
        assert await everything(there.reader(TURN, 0)) == [1, 2, 3]


async def test_a_stream_that_lost_its_end_with_the_connection_is_written_again_whole(
    server: RedisServer, redis: "Redis"
) -> None:
    """As after a fail-over to a copy that lagged behind."""
    async with logs(server) as (here, _):
        await here.open(TURN)
        for seq in (1, 2, 3):
            here.append(TURN, delta(seq))
        await until(lambda: redis.xrange(KEY, min="3-0"))
        await redis.xdel(KEY, "2-0", "3-0")
        await redis.client_kill_filter(_type="normal", skipme=True)
        here.append(TURN, delta(4))

        async def whole() -> bool:
            return await seqs(redis) == [1, 2, 3, 4]

        await until(whole)


async def test_what_another_database_left_is_not_told(server: RedisServer, redis: "Redis") -> None:
    for seq in range(1, 9):
        await redis.xadd(KEY, {"e": encode(delta(seq))}, id=f"{seq}-0")
    async with logs(server) as (here, _):
        await here.open(TURN)
        here.append(TURN, delta(1))
        await until(lambda: redis.pttl(KEY))
        async with asyncio.timeout(5):
            while await seqs(redis) != [1]:
                await asyncio.sleep(0.01)


async def test_an_event_that_cannot_be_written_leaves_the_turn_to_the_store(
    server: RedisServer, redis: "Redis"
) -> None:
    async with logs(server) as (here, _):
        await here.open(TURN)
        here.append(TURN, delta(1))
        await until(lambda: redis.exists(KEY))
        here.append(TURN, AnswerDelta(2, TURN, "\ud800"))
        here.append(TURN, completed(3))
        assert await everything(here.reader(TURN, 0)) == [1, 2, 3]

        async def gone() -> bool:
            return not await redis.exists(KEY)

        await until(gone)


async def test_what_is_left_is_written_when_the_log_closes(server: RedisServer, redis: "Redis") -> None:
    async with logs(server) as (here, _):
        await here.open(TURN)
        for seq in range(1, 5_000):
            here.append(TURN, delta(seq))
        here.append(TURN, completed(5_000))
    assert await redis.xlen(KEY) == 5_000


async def test_a_redis_that_was_lost_is_used_again() -> None:
    """Followers elsewhere get NotFound (the store goes on), those here notice nothing; then the turn is there whole."""
    with own_redis() as server:
        async with logs(server) as (here, there), Redis.from_url(server.url) as redis:
            await here.open(TURN)
            here.append(TURN, delta(1))
            await until(lambda: redis.exists(KEY))
            near = asyncio.create_task(everything(here.reader(TURN, 0)))
            far = there.reader(TURN, 0)
            assert far is not None
            assert [event.seq for event in await far.read()] == [1]
            server.kill()
            with pytest.raises(NotFound):
                await far.read()
            for seq in range(2, 50):
                here.append(TURN, delta(seq))
            late = there.reader(TURN, 0)
            if late is not None:
                with pytest.raises(NotFound):
                    await late.read()
            server.start()
            await redis.connection_pool.disconnect()

            async def rewritten() -> bool:
                return await seqs(redis) == list(range(1, 50))

            await until(rewritten)

            async def told() -> bool:
                reader = there.reader(TURN, 48)
                try:
                    return reader is not None and [event.seq for event in await reader.read()] == [49]
                except NotFound:
                    return False

            await until(told)
            here.append(TURN, completed(50))
            assert await near == list(range(1, 51))


async def test_a_turn_that_ends_while_redis_is_away_is_not_kept_for_ever() -> None:
    with own_redis() as server:
        server.kill()
        async with logs(server, keep=0.1, linger=0.1) as (here, _):
            await here.open(TURN)
            here.append(TURN, completed(1))
            assert await everything(here.reader(TURN, 0)) == [1]
            async with asyncio.timeout(5):
                while here.unwritten:
                    await asyncio.sleep(0.02)


async def test_signals_wait_for_redis() -> None:
    with own_redis() as server:
        async with AsyncExitStack() as stack:
            here, there = (RedisSignals(server.url, "t") for _ in range(2))
            heard: dict[str, list[Signal]] = {"here": [], "there": []}
            arrived = asyncio.Event()
            here.subscribe(heard["here"].append)
            there.subscribe(heard["there"].append)
            there.subscribe(lambda signal: arrived.set())
            for signals in (here, there):
                await signals.start()
                stack.push_async_callback(signals.close)
            server.kill()
            await here.publish(StopRequested(1))
            assert heard == {"here": [StopRequested(1)], "there": []}
            server.start()
            async with asyncio.timeout(10):
                await arrived.wait()
            assert heard["there"] == [StopRequested(1)]
            assert heard["here"] == [StopRequested(1)]


async def test_a_signal_of_another_release_is_passed_over(server: RedisServer, redis: "Redis") -> None:
    signals, heard = RedisSignals(server.url, "t"), list[Signal]()
    arrived = asyncio.Event()
    signals.subscribe(heard.append)
    signals.subscribe(lambda signal: arrived.set())
    await signals.start()
    for data in (b"", b"{", b'{"drain":1}', b'{"stop":"x"}', b'{"stop":9}'):
        await redis.xadd("t:signals", {"from": "x", "signal": data})
    async with asyncio.timeout(5):
        await arrived.wait()
    assert heard == [StopRequested(9)]
    await signals.close()
