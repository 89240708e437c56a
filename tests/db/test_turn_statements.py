"""What a whole turn asks of the database: counted here, so that it does not grow unseen."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from db.engine import Database
from db.logins import SqlLoginStore
from domain.agents.memory import WINDOW
from domain.agents.state import Draft, TurnContext
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
TRANSACTIONS = 4


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


async def test_the_statements_of_a_turn(open_desk: Callable[..., Awaitable[Desk]], database: Database) -> None:
    async def recalls_and_answers(context: TurnContext) -> Draft:
        await desk.messages.recent_messages(context.question.chat_id, context.question.id, WINDOW)
        return await answers(context)

    desk, logins = await open_desk(recalls_and_answers), SqlLoginStore(database)
    await logins.begin_login(desk.viewer.user_id, "login", "d" * 64, datetime.now(UTC) + timedelta(hours=1))
    turns = []
    for number in range(5):
        with told() as (statements, transactions):
            assert await logins.is_active(desk.viewer.user_id, "login")
            turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?", f"key {number}")
            events = [event async for batch in desk.turns.follow(desk.viewer, turn) for event in batch]
            assert isinstance(events[-1], TurnCompleted)
        turns.append((len(statements), statements, len(transactions)))
    # A turn that takes longer is saved meanwhile, which is not its own cost but that of its length.
    _, statements, transactions_of_turn = min(turns)
    assert statements == WHOLE_TURN
    assert transactions_of_turn == TRANSACTIONS
