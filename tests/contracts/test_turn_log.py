"""The suite of the TurnLog port, run over every implementation."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from domain.errors import NotFound, Unauthenticated
from domain.events import AnswerDelta, TurnCompleted, TurnEvent
from domain.model import Message, Role
from domain.ports import LogReader, TurnLog
from providers.memory_log import MemoryTurnLog

TURN = 7


@pytest.fixture(params=["memory"])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[TurnLog]:
    made = MemoryTurnLog(linger=0.05)
    yield made
    await made.close()


def delta(seq: int) -> AnswerDelta:
    return AnswerDelta(seq, TURN, f"word{seq} ")


def completed(seq: int) -> TurnCompleted:
    answer = Message(2, 1, TURN, Role.ASSISTANT, "all", datetime.now(UTC))
    return TurnCompleted(seq, TURN, answer)


def follower(log: TurnLog, after: int = 0) -> LogReader:
    reader = log.reader(TURN, after)
    assert reader is not None
    return reader


async def everything(reader: LogReader) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    while batch := await reader.read():
        events += batch
    return events


async def test_every_follower_sees_every_event_once_and_in_order(log: TurnLog) -> None:
    await log.open(TURN)
    followers = [asyncio.create_task(everything(follower(log))) for _ in range(5)]
    for seq in range(1, 200):
        log.append(TURN, delta(seq))
        if seq % 7 == 0:
            await asyncio.sleep(0)
    late = asyncio.create_task(everything(follower(log)))
    log.append(TURN, completed(200))
    for seen in await asyncio.gather(*followers, late):
        assert [event.seq for event in seen] == list(range(1, 201))


async def test_a_cursor_skips_what_was_seen(log: TurnLog) -> None:
    await log.open(TURN)
    for seq in (1, 2, 3):
        log.append(TURN, delta(seq))
    log.append(TURN, completed(4))
    assert [event.seq for event in await everything(follower(log, after=2))] == [3, 4]
    assert await everything(follower(log, after=4)) == []


async def test_a_cursor_ahead_of_the_log_waits_for_its_place(log: TurnLog) -> None:
    await log.open(TURN)
    log.append(TURN, delta(1))
    ahead = asyncio.create_task(everything(follower(log, after=2)))
    await asyncio.sleep(0)
    log.append(TURN, delta(2))
    log.append(TURN, delta(3))
    log.append(TURN, completed(4))
    assert [event.seq for event in await ahead] == [3, 4]


async def test_a_gap_is_refused(log: TurnLog) -> None:
    await log.open(TURN)
    log.append(TURN, delta(1))
    with pytest.raises(ValueError, match="event 3 follows event 1"):
        log.append(TURN, delta(3))


async def test_an_interrupted_follower_ends_alone(log: TurnLog) -> None:
    await log.open(TURN)
    first, second = follower(log), follower(log)
    waiting, staying = asyncio.create_task(first.read()), asyncio.create_task(everything(second))
    await asyncio.sleep(0)
    first.interrupt(Unauthenticated("gone"))
    with pytest.raises(Unauthenticated, match="gone"):
        await waiting
    log.append(TURN, completed(1))
    assert [event.seq for event in await staying] == [1]


async def test_dropping_a_turn_tells_its_followers_after_what_they_had_to_read(log: TurnLog) -> None:
    await log.open(TURN)
    log.append(TURN, delta(1))
    reader = follower(log)
    log.drop(TURN, NotFound("deleted"))
    assert [event.seq for event in await reader.read()] == [1]
    with pytest.raises(NotFound, match="deleted"):
        await reader.read()
    assert log.reader(TURN, 0) is None


async def test_an_ended_turn_is_forgotten_after_a_while_but_not_under_its_readers(log: TurnLog) -> None:
    await log.open(TURN)
    log.append(TURN, delta(1))
    log.append(TURN, completed(2))
    slow = follower(log)
    async with asyncio.timeout(5):
        while log.reader(TURN, 0) is not None:
            await asyncio.sleep(0.01)
    assert [event.seq for event in await everything(slow)] == [1, 2]


async def test_an_unknown_turn_has_no_reader(log: TurnLog) -> None:
    assert log.reader(999, 0) is None
