"""What the log of a single process does beyond the port: a turn that has begun goes ahead of what announces it."""

import asyncio
from datetime import UTC, datetime

from domain.errors import ServiceUnavailable
from domain.events import AnswerDelta, RouteChosen, TurnEvent, TurnStarted
from domain.model import Message, Role, Route
from providers.memory_log import MemoryTurnLog, TurnEventsReader

TURN = 7
QUESTION = Message(1, 1, TURN, Role.USER, "Is it?", datetime.now(UTC))
STARTED = TurnStarted(1, TURN, QUESTION)
ROUTED = RouteChosen(2, TURN, (Route("help", 0.9, "because"),), "Is it?")
WORD = AnswerDelta(3, TURN, "Yes")


async def begun() -> tuple[MemoryTurnLog, TurnEventsReader]:
    log = MemoryTurnLog()
    await log.open(TURN)
    log.append(TURN, STARTED)
    reader = log.reader(TURN, 0)
    assert reader is not None
    return log, reader


async def rounds(count: int = 3) -> None:
    """Of the event loop, in which no time goes by."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_announcements_come_without_any_text_though_a_little_later() -> None:
    _, reader = await begun()
    async with asyncio.timeout(5):
        assert await reader.read() == [STARTED]


async def test_the_first_text_comes_at_once_with_what_announces_it() -> None:
    log, reader = await begun()
    reading = asyncio.create_task(reader.read())
    await rounds()
    log.append(TURN, ROUTED)
    await rounds()
    assert not reading.done()
    log.append(TURN, WORD)
    await rounds()
    assert reading.done()
    assert await reading == [STARTED, ROUTED, WORD]


async def test_who_comes_later_does_not_wait() -> None:
    log, reader = await begun()
    log.append(TURN, ROUTED)
    log.append(TURN, WORD)
    later = log.reader(TURN, 0)
    assert later is not None
    seen: list[list[TurnEvent]] = [list(await reader.read()), list(await later.read())]
    assert seen == [[STARTED, ROUTED, WORD]] * 2


async def test_an_interruption_tells_first_what_is_there() -> None:
    _, reader = await begun()
    reading = asyncio.create_task(reader.read())
    await rounds()
    reader.interrupt(ServiceUnavailable())
    await rounds()
    assert reading.done()
    assert await reading == [STARTED]
