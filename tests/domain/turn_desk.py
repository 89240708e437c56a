"""A desk for the tests of turns: a real store, log and signals, with a workflow that a test writes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.messages import SqlMessageStore
from db.queue import SqlQueueStore
from db.turns import SqlTurnStore
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.state import Draft, TurnContext
from domain.events import TurnEvent
from domain.followers import Followers
from domain.model import ChatSession, Route, Source, Span, Usage, Viewer
from domain.queue import TurnQueue
from domain.runner import TurnLimits, TurnRunner
from domain.streams import OpenStreams
from domain.turns import Turns
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals
from providers.rate_limits import WindowRateLimiter

Workflow = Callable[[TurnContext], Awaitable[Draft]]


@dataclass
class Desk:
    turns: Turns
    runner: TurnRunner
    queue: TurnQueue
    store: SqlTurnStore
    messages: SqlMessageStore
    chats: SqlChatStore
    log: MemoryTurnLog
    signals: MemorySignals
    viewer: Viewer
    chat: ChatSession

    async def follow(self, turn_id: int, after: int = 0) -> list[TurnEvent]:
        async with aclosing(self.turns.follow(self.viewer, turn_id, after)) as batches:
            return [event async for batch in batches for event in batch]


@pytest.fixture
async def open_desk(database: Database, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Desk]]]:
    opened: list[Desk] = []

    async def make(
        workflow: Workflow,
        limits: TurnLimits = TurnLimits(),
        sends: str = "1000/minute",
        store: SqlTurnStore | None = None,
    ) -> Desk:
        signals, log, store = MemorySignals(), MemoryTurnLog(linger=0), store or SqlTurnStore(database)
        runner = TurnRunner(workflow, store, log, signals, limits)
        catalog = AgentCatalog((Agent("help", "Help", "", tmp_path), Agent("secret", "S", "", tmp_path, "", ("ann",))))
        limiter = WindowRateLimiter({"send": sends})
        queue, followers = (
            TurnQueue(SqlQueueStore(database), log, runner, catalog),
            Followers(store, log, OpenStreams(signals)),
        )
        turns = Turns(store, followers, signals, runner, queue, catalog, limiter)
        user = await SqlAccountStore(database).create_user(f"user{len(opened)}", f"u{len(opened)}@x.test", "-")
        viewer = Viewer(user.id, user.username, "login", datetime.now(UTC) + timedelta(hours=1))
        chats = SqlChatStore(database)
        chat = await chats.create_chat(user.id, "New chat")
        desk = Desk(turns, runner, queue, store, SqlMessageStore(database), chats, log, signals, viewer, chat)
        opened.append(desk)
        return desk

    yield make
    for desk in opened:
        await desk.queue.close()
        await desk.runner.close()
        await desk.log.close()


async def answers(context: TurnContext) -> Draft:
    """A workflow that routes, cites one source and says a sentence in pieces."""
    source = Source(context.answer.id, 1, "help", "doc", "Title", None, "…", 1.0)
    context.recorder.route_chosen((Route("help", 0.9, "because"),), "standalone?")
    context.recorder.sources_found((source,))
    for piece in ("It ", "is ", "so 🙂. ", "[1]"):
        context.recorder.delta(piece)
        await asyncio.sleep(0)
    done = Source(context.answer.id, 1, "help", "doc", "Title", None, "…", 1.0, (Span(0, 10),))
    return Draft("It is so 🙂. [1]", (done,), Usage(3, 4), "scripted")


class Gate:
    """A workflow that writes a word, then waits until it is let through."""

    def __init__(self) -> None:
        self.writing, self.opened = asyncio.Event(), asyncio.Event()

    async def __call__(self, context: TurnContext) -> Draft:
        context.recorder.delta("Begun")
        self.writing.set()
        await self.opened.wait()
        context.recorder.delta(" and done")
        return Draft("Begun and done")
