"""What a whole turn asks of the database: counted here, so that it does not grow unseen."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.runtime import Runtime
from sqlalchemy import Connection, Engine, event

from db.engine import Database
from db.logins import SqlLoginStore
from db.summaries import SqlSummaryStore
from domain.agents.memory import Memory
from domain.agents.state import Draft, TurnContext
from domain.agents.summaries import BEHIND, WINDOW, Summaries
from domain.events import TurnCompleted
from tests.domain.turn_desk import Desk, answers, open_desk
from tests.stores import Stores

__all__ = ["open_desk"]

WHOLE_TURN = [
    "SELECT logins",  # who asks
    "SELECT chat_sessions",  # and lock it
    "SELECT turns",  # its key, and those that have not ended
    "UPDATE chat_sessions",
    "INSERT turns",
    "INSERT messages",
    "INSERT messages",
    "SELECT messages",  # those before it, for the model
    "SELECT turns",  # whose chat is locked next
    "UPDATE chat_sessions",
    "UPDATE turns",
    "UPDATE messages",
    "DELETE sources",
    "INSERT sources",
]
TRANSACTIONS = 3
RECALLED = WHOLE_TURN.index("SELECT messages") + 1
LONG_TURN = [*WHOLE_TURN[:RECALLED], "SELECT chat_summaries", *WHOLE_TURN[RECALLED:]]
"""Once a chat is longer than the window."""
NOTES = [
    "SELECT chat_summaries",
    "SELECT messages",  # a page of those that left the window
    "SELECT chat_sessions",  # and lock it
    "SELECT messages",  # whether one of them was superseded meanwhile
    "SELECT chat_summaries",
    "UPDATE chat_summaries",
]
"""What is asked behind every fifth turn's back, in three transactions more."""


@pytest.fixture
def database(stores: Stores) -> Database:
    return stores.database


@contextmanager
def told() -> Iterator[tuple[list[str], list[Connection]]]:
    """The statements that run, by what they do and to which table, and the transactions that begin."""
    statements: list[str] = []
    transactions: list[Connection] = []
    on_begin = transactions.append  # an object of its own each time it is asked for

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.split()
        table = {"SELECT": "FROM", "INSERT": "INTO", "DELETE": "FROM", "UPDATE": "UPDATE"}.get(words[0])
        if table is not None:  # else it begins a transaction, or says of which kind
            statements.append(f"{words[0]} {words[words.index(table) + 1]}")

    event.listen(Engine, "before_cursor_execute", on_statement)
    event.listen(Engine, "begin", on_begin)
    try:
        yield statements, transactions
    finally:
        event.remove(Engine, "before_cursor_execute", on_statement)
        event.remove(Engine, "begin", on_begin)


@pytest.fixture
async def recalling(open_desk: Callable[..., Awaitable[Desk]], database: Database) -> tuple[Desk, Summaries]:
    """A desk whose turns recall and answer."""
    summaries = Summaries(SqlSummaryStore(database))

    async def recalls_and_answers(context: TurnContext) -> Draft:
        await Memory(desk.messages, summaries)({}, Runtime(context=context))
        return await answers(context)

    desk = await open_desk(recalls_and_answers)
    await SqlLoginStore(database).begin_login(
        desk.viewer.user_id, "login", "d" * 64, datetime.now(UTC) + timedelta(hours=1)
    )
    return desk, summaries


async def whole_turn(desk: Desk, database: Database, number: int) -> None:
    assert await SqlLoginStore(database).is_active(desk.viewer.user_id, "login")
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?", f"key {number}")
    events = [event async for batch in desk.turns.follow(desk.viewer, turn) for event in batch]
    assert isinstance(events[-1], TurnCompleted)


async def least_of_five(desk: Desk, database: Database, first: int) -> tuple[list[str], int]:
    """A turn that takes longer is saved meanwhile, which is not its own cost but that of its length."""
    turns = []
    for number in range(first, first + 5):
        with told() as (statements, transactions):
            await whole_turn(desk, database, number)
        turns.append((len(statements), statements, len(transactions)))
    _, statements, transactions_of_turn = min(turns)
    return statements, transactions_of_turn


def heard(database: Database, statements: list[str], transactions: int) -> tuple[list[str], int]:
    """What SQLAlchemy tells of them: at SQLite a glance, such as at who asks, passes it by."""
    return (statements[1:], transactions - 1) if database.name == "SQLite" else (statements, transactions)


async def test_the_statements_of_a_turn(recalling: tuple[Desk, Summaries], database: Database) -> None:
    desk, _ = recalling
    assert await least_of_five(desk, database, 0) == heard(database, WHOLE_TURN, TRANSACTIONS)


async def test_the_statements_of_a_turn_in_a_long_chat(recalling: tuple[Desk, Summaries], database: Database) -> None:
    desk, summaries = recalling
    for number in range((WINDOW + 2 * BEHIND) // 2 + 1):
        await whole_turn(desk, database, number)
        summaries.catch_up(desk.chat.id)
        await summaries.settled()
    assert await least_of_five(desk, database, 1000) == heard(database, LONG_TURN, TRANSACTIONS + 1)
    with told() as (statements, transactions):
        summaries.catch_up(desk.chat.id)
        await summaries.settled()
    assert statements == NOTES
    assert len(transactions) == 3
