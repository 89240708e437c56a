"""Turns that are ended at an awkward moment are ended all the same."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from db.engine import Database
from db.turns import SqlTurnStore
from domain.agents.state import Draft, TurnContext
from domain.errors import ServiceUnavailable
from domain.knowledge import ANYBODY
from domain.model import Turn, TurnStatus
from domain.ports import StopRequested
from domain.records import BegunTurn, StoredTurn, TurnOutcome, TurnRequest
from domain.runner import TurnLimits, TurnRunner
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals
from tests.domain.turn_desk import Desk, Gate, answers

OpenDesk = Callable[..., Awaitable[Desk]]


async def begun(desk: Desk) -> BegunTurn:
    """Stored, and not started."""
    request = TurnRequest(timedelta(seconds=30))
    return await desk.store.begin_turn(desk.viewer.user_id, desk.chat.id, "So?", (), "So?", request)


async def ended(desk: Desk, turn_id: int) -> Turn:
    await desk.follow(turn_id)
    return await desk.turns.get(desk.viewer, turn_id)


async def test_a_turn_that_is_stopped_before_its_first_step_is_ended(open_desk: OpenDesk) -> None:
    desk = await open_desk(answers)
    turn = await begun(desk)
    await desk.runner.start(turn, (), ANYBODY)
    await desk.signals.publish(StopRequested(turn.turn.id))
    async with asyncio.timeout(5):
        assert (await ended(desk, turn.turn.id)).status is TurnStatus.STOPPED


async def test_a_turn_that_is_started_at_the_very_end_is_interrupted(open_desk: OpenDesk) -> None:
    desk = await open_desk(Gate())
    turn = await begun(desk)
    await desk.runner.close()
    await desk.runner.start(turn, (), ANYBODY)
    async with asyncio.timeout(5):
        assert (await ended(desk, turn.turn.id)).status is TurnStatus.INTERRUPTED
    with pytest.raises(ServiceUnavailable):
        await desk.turns.send(desk.viewer, desk.chat.id, "And now?")


class _Slow(SqlTurnStore):
    """Says when a turn's end is about to be stored, and waits."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.storing, self.go_on = asyncio.Event(), asyncio.Event()

    async def finish_turn(self, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
        self.storing.set()
        await self.go_on.wait()
        return await super().finish_turn(turn_id, outcome)


async def test_an_end_that_is_being_stored_is_not_cut_short(open_desk: OpenDesk, database: Database) -> None:
    async def says_yes(context: TurnContext) -> Draft:
        context.recorder.delta("Yes")
        return Draft("Yes")

    desk, store = await open_desk(answers), _Slow(database)
    runner = TurnRunner(says_yes, store, MemoryTurnLog(), MemorySignals(), TurnLimits())
    turn = await begun(desk)
    await runner.start(turn, (), ANYBODY)
    async with asyncio.timeout(5):
        await store.storing.wait()
        closing = asyncio.create_task(runner.close())
        await asyncio.sleep(0)
        store.go_on.set()
        await closing
    assert (await desk.turns.get(desk.viewer, turn.turn.id)).status is TurnStatus.COMPLETED
