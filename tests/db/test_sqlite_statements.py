"""Statements that are built once, run by SQLite's driver: the same rows, counts and failures as by SQLAlchemy."""

import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    Insert,
    Select,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

import db
from db.sqlite_connection import SqliteConnection
from db.sqlite_statements import prepared
from db.statements import built_once, is_built_once
from db.tables import CHATS, MESSAGES, SOURCES, TURNS, USERS, Row
from domain.errors import ErrorCode
from domain.model import Rating, Role, TurnStatus

SQLITE = sqlite.dialect()
NOW = datetime(2026, 11, 30, 18, 11, 2, 345678, tzinfo=UTC)
GIVEN: Mapping[str, Any] = {
    "before": 3,
    "chat": 1,
    "key": "a key",
    "lease": 30_000_000,
    "limit": 10,
    "message": 2,
    "number": 2,
    "of_chat": 1,
    "of_message": 2,
    "of_question": 1,
    "of_turn": 1,
    "turn": 2,
    "user": 1,
    "was": TurnStatus.RUNNING,
}
"""For what statements find rows by."""
ENDED = {"of_turn": 2, "status": TurnStatus.FAILED, "ended_at": NOW, "running_chat_id": None, "open_chat_id": None}
FAILED = {"error_code": ErrorCode.MODEL_UNAVAILABLE, "error_message": "Späť\x00\n", "error_retryable": True}
TURN = {"chat_id": 1, "agents": ["pricing", "ü"], "routes": [{"agent": "pricing", "confidence": 0.5}], "timeline": "s"}
MESSAGE = {"chat_id": 1, "turn_id": 2, "first_turn_id": 2, "superseded": False, "rating": Rating.UP, "created_at": NOW}
ALSO: Mapping[str, Mapping[str, Any]] = {
    "db.claims._CHANGE": ENDED | FAILED | {"groundedness": 0.25, "lease_until": None},
    "db.claims._INTERRUPT": ENDED,
    "db.claims._PROMOTE": {"of_turn": 2, "running_chat_id": 1},
    "db.new_turns._INSERT_LAST_MESSAGE": MESSAGE | {"role": Role.ASSISTANT, "text": "Half a pair is none: 🙂"},
    "db.new_turns._INSERT_MESSAGE": MESSAGE | {"role": Role.ASSISTANT, "text": "", "parent_id": None},
    "db.new_turns._INSERT_TURN": TURN | {"status": TurnStatus.QUEUED, "created_at": NOW, "client_message_id": None},
    "db.new_turns._MOVE_CHAT": {"updated_at": NOW, "title": "New", "title_key": "new", "titled": True},
    "db.turns._MOVE_CHAT": {"now": NOW + timedelta(days=1)},
}
"""The columns that a statement writes."""


def marked() -> dict[str, Executable]:
    """All of db's statements that are built once, by their names."""
    found = dict[str, Executable]()
    for module in pkgutil.iter_modules(db.__path__, "db."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if is_built_once(value) and value not in found.values():
                found[f"{module.name}.{name}"] = value
    return found


MARKED = marked()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two databases that hold the same."""
    engines = tuple(create_engine(f"sqlite:///{tmp_path / name}", poolclass=NullPool) for name in ("quick", "usual"))
    for engine in engines:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        with engine.begin() as connection:
            fill(connection)
    yield engines[0], engines[1]
    for engine in engines:
        engine.dispose()


def fill(connection: Connection) -> None:
    Row.metadata.create_all(connection)
    user = {"username": "Ann", "username_key": "ann", "email": "a@example.com", "email_key": "a@example.com"}
    connection.execute(insert(USERS), user | {"password_hash": "x", "created_at": NOW})
    chat = {"user_id": 1, "title": "Ünïcode", "title_key": "ünïcode", "titled": False}
    connection.execute(insert(CHATS), chat | {"created_at": NOW, "updated_at": NOW})
    for number, status in ((1, TurnStatus.COMPLETED), (2, TurnStatus.RUNNING)):
        running = {"running_chat_id": 1, "open_chat_id": 1, "lease_until": NOW} if number == 2 else {}
        key = {"client_message_id": "a key" if number == 1 else None}
        connection.execute(insert(TURNS), TURN | {"status": status, "created_at": NOW} | running | key)
        asked = {**MESSAGE, "turn_id": number, "first_turn_id": number}
        connection.execute(insert(MESSAGES), asked | {"role": Role.USER, "text": f"Question {number}"})
        if number == 1:
            connection.execute(insert(MESSAGES), asked | {"role": Role.ASSISTANT, "text": "Answer", "parent_id": 1})
    passage = {"agent": "pricing", "document_id": "plans", "title": "Plans", "url": None, "excerpt": "…", "score": 0.75}
    connection.execute(insert(SOURCES), passage | {"message_id": 2, "ordinal": 1, "spans": [[0, 6]], "flagged": None})


def given_to(name: str) -> dict[str, Any]:
    statement, also = MARKED[name], ALSO.get(name, {})
    names = set(statement.compile(dialect=SQLITE).binds) & GIVEN.keys()  # type: ignore[attr-defined]
    return {**{key: GIVEN[key] for key in sorted(names)}, **also}


def contents(connection: Connection) -> list[list[tuple[Any, ...]]]:
    """What a database holds; but for the moment up to which a lease runs, which is its clock's."""
    tables = Row.metadata.sorted_tables
    columns = [[column for column in table.c if column.name != "lease_until"] for table in tables]
    return [[tuple(row) for row in connection.execute(select(*its))] for its in columns]


@pytest.mark.parametrize("name", sorted(MARKED))
def test_it_does_the_same(name: str, engines: tuple[Engine, Engine]) -> None:
    statement = cast("Any", MARKED[name])
    values = given_to(name)
    assert prepared(statement, tuple(values), engines[0].dialect) is not None
    with SqliteConnection(engines[0]) as quick, engines[1].connect() as usual, quick.begin(), usual.begin():
        quick_result, usual_result = quick.execute(statement, values), usual.execute(statement, values)
        assert not isinstance(cast("object", quick_result), CursorResult)
        if isinstance(statement, Select):
            assert list(quick_result.keys()) == list(usual_result.keys())
            rows = usual_result.all()
            assert quick_result.all() == rows
            assert rows, "it found nothing to compare"
            assert [[type(value) for value in row] for row in quick.execute(statement, values)] == [
                [type(value) for value in row] for row in rows
            ]
        else:
            assert quick_result.rowcount == usual_result.rowcount == 1
            if isinstance(statement, Insert):
                assert tuple(quick_result.inserted_primary_key or ()) == tuple(usual_result.inserted_primary_key or ())
            assert contents(quick) == contents(usual)


def test_values_that_a_column_cannot_have_find_nothing(engines: tuple[Engine, Engine]) -> None:
    statement = built_once(select(USERS.c.id).where(USERS.c.id == 2**70))
    with SqliteConnection(engines[0]) as quick, quick.begin():
        assert quick.execute(statement, {}).all() == []


def test_failures_are_sqlalchemys(engines: tuple[Engine, Engine]) -> None:
    statement = MARKED["db.new_turns._INSERT_MESSAGE"]
    values = given_to("db.new_turns._INSERT_MESSAGE") | {"turn_id": 1}  # which has an answer
    told = []
    for connection in (SqliteConnection(engines[0]), engines[1].connect()):
        with connection, connection.begin(), pytest.raises(IntegrityError) as failure:
            connection.execute(statement, values)
        told.append((failure.value.orig.__class__, failure.value.statement, str(failure.value.orig)))
    assert told[0] == told[1]


def test_what_fails_is_not_tried_again(engines: tuple[Engine, Engine]) -> None:
    """With the failure SQLite may have undone the transaction, such as when the disk is full."""
    values = given_to("db.new_turns._INSERT_MESSAGE") | {"turn_id": 1}
    run = list[str]()
    with SqliteConnection(engines[0]) as quick, quick.begin():
        quick.connection.driver_connection.set_trace_callback(run.append)  # type: ignore[union-attr]
        with pytest.raises(IntegrityError):
            quick.execute(MARKED["db.new_turns._INSERT_MESSAGE"], values)
    assert len([statement for statement in run if statement.startswith("INSERT")]) == 1


def test_who_listens_hears_them(engines: tuple[Engine, Engine]) -> None:
    heard = list[str]()
    event.listen(engines[0], "before_cursor_execute", lambda *told: heard.append(told[2]))
    with SqliteConnection(engines[0]) as quick, quick.begin():
        rows = quick.execute(MARKED["db.claims.CHAT"], {}).all()
    assert [row.titled for row in rows] == [False]
    assert len(heard) == 1


def test_what_is_not_built_once_is_sqlalchemys(engines: tuple[Engine, Engine]) -> None:
    with SqliteConnection(engines[0]) as quick, quick.begin():
        assert isinstance(quick.execute(select(USERS.c.id), {}), CursorResult)
        many = built_once(insert(SOURCES))
        row = {"message_id": 2, "agent": "a", "document_id": "d", "title": "t", "excerpt": "e", "score": 1.0}
        rows = [row | {"ordinal": number, "spans": [], "url": None, "flagged": True} for number in (2, 3)]
        quick.execute(many, rows)
        assert prepared(many, tuple(rows[0]), engines[0].dialect) is None  # whose key SQLite does not make
    with closing(sqlite3.connect(str(engines[0].url.database))) as file:
        assert file.execute("SELECT count(*) FROM sources").fetchone() == (3,)
