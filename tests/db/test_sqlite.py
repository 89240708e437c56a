"""What our connections to SQLite do otherwise than the driver's: see db/sqlite.py."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from db.engine import Database
from db.tables import UserRow
from tests.databases import migrated_database

USER = {"username": "a", "email": "a@x.test", "email_key": "a@x.test", "password_hash": "-"}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with migrated_database("sqlite", tmp_path) as url:
        async with Database.open(url, pool_size=1) as opened:
            yield opened


@pytest.fixture
def beside(database: Database, tmp_path: Path) -> sqlite3.Connection:
    """Another process's connection to the same file."""
    (path,) = tmp_path.glob("*.sqlite3")
    return sqlite3.connect(path, isolation_level=None, timeout=0)


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(UserRow.username_key).order_by(UserRow.id)))


def user(key: str) -> dict[str, str]:
    return {**USER, "username_key": key, "email_key": key, "created_at": "2026-01-01 00:00:00.000000"}


async def add(database: Database, *keys: str, fail: bool = False) -> None:
    columns = "username, username_key, email, email_key, password_hash, created_at"
    values = ", ".join(f":{name}" for name in columns.split(", "))
    statement = text(f"INSERT INTO users ({columns}) VALUES ({values})")  # noqa: S608
    async with database.write() as session:
        await session.execute(statement, [user(key) for key in keys])
        if fail:
            raise RuntimeError("in the middle")


async def test_a_write_that_fails_is_undone_and_its_connection_is_as_before(database: Database) -> None:
    await add(database, "one")
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await add(database, "two", fail=True)
    await add(database, "three", "four")
    assert await names(database) == ["one", "three", "four"]


async def test_a_write_holds_its_lock_from_its_first_statement(database: Database, beside: sqlite3.Connection) -> None:
    async with database.write() as session:
        await session.execute(select(UserRow.id))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            beside.execute("BEGIN IMMEDIATE")
    beside.execute("BEGIN IMMEDIATE")
    beside.execute("ROLLBACK")


async def test_a_write_without_a_statement_is_none(database: Database, beside: sqlite3.Connection) -> None:
    async with database.write():
        beside.execute("BEGIN IMMEDIATE")
    beside.execute("ROLLBACK")
    await add(database, "one")
    assert await names(database) == ["one"]


async def test_a_read_sees_one_moment_and_lets_go_of_it(database: Database, beside: sqlite3.Connection) -> None:
    await add(database, "one")
    async with database.read() as session:
        count = text("SELECT count(*) FROM users")
        assert await session.scalar(count) == 1
        beside.execute(
            "INSERT INTO users (username, username_key, email, email_key, password_hash, created_at) "
            "SELECT 'two', 'two', 'two', 'two', '-', created_at FROM users"
        )
        assert await session.scalar(count) == 1
    assert await names(database) == ["one", "two"]
    # Whoever still looked at an old moment would keep the log from being emptied.
    busy, *_ = beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


async def test_what_statements_say_about_themselves(database: Database) -> None:
    await add(database, "one", "two", "three")
    async with database.write() as session:
        changed = await session.execute(text("UPDATE users SET email = 'x' WHERE username_key <> 'one'"))
        assert changed.rowcount == 2  # type: ignore[attr-defined]
        returned = await session.execute(text("DELETE FROM users WHERE username_key = 'one' RETURNING username_key"))
        assert returned.all() == [("one",)]
        found = await session.execute(text("SELECT username_key, email FROM users WHERE username_key = 'none'"))
        assert (list(found.keys()), found.all()) == (["username_key", "email"], [])
    assert await names(database) == ["two", "three"]
