"""A turn runs while it is stored: it searches meanwhile, and nobody is asked or told anything before it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.turns import SqlTurnStore
from domain.agents.state import Draft, TurnContext
from domain.errors import SearchUnavailable
from domain.events import AnswerDelta, RouteChosen, TurnEnded, TurnStarted
from domain.model import Route, TurnStatus
from domain.records import BegunTurn
from tests.domain.turn_desk import Desk, answers

OpenDesk = Callable[..., Awaitable[Desk]]

UNCOMMITTABLE = (
    "CREATE TABLE orphans (parent INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TRIGGER spoil AFTER INSERT ON turns BEGIN INSERT INTO orphans VALUES (-1); END",
)
"""From then on every new turn can be written, and not committed."""
MENDED = ("DROP TRIGGER spoil",)


async def run(database: Database, *statements: str) -> None:
    async with database.write() as session:
        for statement in statements:
            await session.execute(text(statement))


class Steps:
    """A workflow that routes, then waits until its turn is stored, then answers. It notes how far it came."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def __call__(self, context: TurnContext) -> Draft:
        self.reached.append("searched")
        context.recorder.route_chosen((Route("help", 0.9, "because"),), "standalone?")
        await context.until_stored()
        self.reached.append("asked")
        return await answers(context)


async def test_a_turn_that_cannot_be_stored_asks_nobody_and_tells_nobody(
    open_desk: OpenDesk, database: Database
) -> None:
    steps = Steps()
    desk = await open_desk(steps)
    await run(database, *UNCOMMITTABLE)
    with pytest.raises(IntegrityError):
        await desk.turns.send(desk.viewer, desk.chat.id, "Is it kept?")
    await run(database, *MENDED)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "And now?")
    events = await desk.follow(turn.id)
    assert [type(event) for event in events[:2]] == [TurnStarted, RouteChosen]
    assert steps.reached == ["searched", "searched", "asked"]
    assert isinstance(events[0], TurnStarted)
    assert await desk.messages.recent_messages(desk.chat.id, events[0].user_message.id, 9) == []
    assert desk.runner.running == 0


class _Noting(SqlTurnStore):
    """Notes when a turn is stored."""

    def __init__(self, database: Database, notes: list[str]) -> None:
        super().__init__(database)
        self._notes = notes

    async def begin_turn(self, *asked: Any) -> BegunTurn:
        begun = await super().begin_turn(*asked)
        self._notes.append("stored")
        return begun


async def test_it_searches_before_it_is_stored(open_desk: OpenDesk, database: Database) -> None:
    steps = Steps()
    desk = await open_desk(steps, store=_Noting(database, steps.reached))
    await desk.follow((await desk.turns.send(desk.viewer, desk.chat.id, "Is it quick?")).id)
    assert steps.reached == ["searched", "stored", "asked"]


async def test_what_fails_meanwhile_is_told_once_it_is_stored(open_desk: OpenDesk) -> None:
    async def fails(context: TurnContext) -> Draft:
        raise SearchUnavailable("There is no index.")

    desk = await open_desk(fails)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "Is it there?")
    started, ended = await desk.follow(turn.id)
    assert isinstance(started, TurnStarted)
    assert isinstance(ended, TurnEnded)
    assert (ended.status, (await desk.turns.get(desk.viewer, turn.id)).status) == (TurnStatus.FAILED,) * 2


async def test_who_asks_hears_of_its_beginning_together_with_text_that_comes_at_once(open_desk: OpenDesk) -> None:
    async def speaks_soon(context: TurnContext) -> Draft:
        await context.until_stored()
        for _ in range(20):
            await asyncio.sleep(0)
        context.recorder.delta("Yes.")
        return Draft("Yes.")

    desk = await open_desk(speaks_soon)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "Is it quick?")
    reader = desk.log.reader(turn.id, 0)
    assert reader is not None
    assert [type(event) for event in (await reader.read())[:2]] == [TurnStarted, AnswerDelta]


async def test_who_asks_does_not_wait_for_a_turn_that_says_nothing(open_desk: OpenDesk) -> None:
    gate = asyncio.Event()

    async def silent(context: TurnContext) -> Draft:
        await gate.wait()
        return Draft("Late.")

    desk = await open_desk(silent)
    async with asyncio.timeout(5):
        turn = await desk.turns.send(desk.viewer, desk.chat.id, "Is it slow?")
    assert turn.status is TurnStatus.RUNNING
    gate.set()
    await desk.follow(turn.id)
