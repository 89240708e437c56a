"""Transactions, session settings, and what is said when the database cannot be reached."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from db.engine import Database, ReadSession, WriteSession, parse_url
from db.migrations import upgrade
from db.revisions import NotMigratedError
from db.tables import UserRow
from domain.errors import DatabaseUnavailable
from tests.databases import run
from tests.stores import LEASE, Stores

on_servers = pytest.mark.parametrize("database_url", ["postgresql", "mysql"], indirect=True)


async def change(session: ReadSession | WriteSession) -> None:
    await session.execute(text("UPDATE users SET username = 'changed'"))


async def test_a_write_that_raises_is_undone(stores: Stores) -> None:
    user = await stores.user("alice")

    async def change_and_stumble() -> None:
        async with stores.database.write() as session:
            await change(session)
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_stumble()
    assert await stores.accounts.get_user(user.id) == user


async def test_a_read_sees_one_moment(stores: Stores) -> None:
    count = select(func.count()).select_from(UserRow)
    async with stores.database.read() as session:
        assert await session.scalar(count) == 0
        await stores.user("alice")
        assert await session.scalar(count) == 0
    async with stores.database.read() as session:
        assert await session.scalar(count) == 1


@on_servers  # nobody else writes to SQLite meanwhile
async def test_a_write_sees_what_others_commit_meanwhile(stores: Stores) -> None:
    count = select(func.count()).select_from(UserRow)
    async with stores.database.write() as session:
        assert await session.scalar(count) == 0
        await stores.user("alice")
        assert await session.scalar(count) == 1


@on_servers  # SQLite has no read-only transactions
async def test_servers_refuse_a_write_in_a_read(stores: Stores) -> None:
    user = await stores.user("alice")
    with pytest.raises(DatabaseUnavailable) as failure:  # as from a server that others write to since a fail-over
        async with stores.database.read() as session:
            await change(session)
    assert "read" in str(failure.value.__cause__).lower()
    assert await stores.accounts.get_user(user.id) == user


async def test_writers_queue_for_sqlite_instead_of_failing(tmp_path: Path) -> None:
    """Read first, write then: with deferred transactions all but one of those that overlap fail."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'counter.sqlite3'}"
    async with Database.open(url) as one, Database.open(url) as other:
        async with one.write() as session:
            await session.execute(text("CREATE TABLE counter (n INTEGER)"))
            await session.execute(text("INSERT INTO counter VALUES (0)"))

        async def increment(database: Database) -> None:
            for _ in range(20):
                async with database.write() as session:
                    n = await session.scalar(text("SELECT n FROM counter"))
                    await session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

        await asyncio.gather(*(increment(database) for database in (one, other) for _ in range(4)))
        async with one.read() as reading:
            assert await reading.scalar(text("SELECT n FROM counter")) == 160


async def test_the_settings_of_a_session(stores: Stores, database_url: str) -> None:
    queries: dict[str, dict[str, object]] = {
        "sqlite": {"PRAGMA journal_mode": "wal", "PRAGMA foreign_keys": 1, "PRAGMA busy_timeout": 5000},
        "postgresql": {"SHOW transaction_isolation": "read committed", "SHOW client_encoding": "UTF8"},
        "mysql": {
            "SELECT @@session.time_zone": "+00:00",
            "SELECT @@session.character_set_client": "utf8mb4",
            "SELECT @@session.sql_mode LIKE '%STRICT_ALL_TABLES%'": 1,
        },
    }
    for query, expected in queries[make_url(database_url).get_backend_name()].items():
        for _ in range(2):  # a pooled connection keeps them
            async with stores.database.write() as writing:
                assert await writing.scalar(text(query)) == expected, query
            await stores.database.check()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of ours at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "mysql+asyncmy"])
async def test_a_server_that_is_down(scheme: str, closed_port: int) -> None:
    async with Database.open(f"{scheme}://user:secret@127.0.0.1:{closed_port}/nothing") as database:
        stores = Stores.on(database)
        for call in (
            database.check(),
            database.require_migrated(),
            stores.accounts.create_user("a", "a@example.test", "hash"),
            stores.accounts.get_user(1),
            stores.turns.save_progress({1: None}, LEASE),
        ):
            with pytest.raises(DatabaseUnavailable) as failure:
                await call
            assert "secret" not in failure.value.message
    with pytest.raises(DatabaseUnavailable):
        run(asyncio.to_thread(upgrade, f"{scheme}://user:secret@127.0.0.1:{closed_port}/nothing"))


async def test_a_database_that_is_not_there(stores: Stores, database_url: str, tmp_path: Path) -> None:
    url = make_url(database_url)
    missing = str(tmp_path / "missing" / "x.sqlite3") if url.get_backend_name() == "sqlite" else "answerdesk_missing"
    async with Database.open(url.set(database=missing).render_as_string(hide_password=False)) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.check()


@on_servers  # SQLite has no server that could cut a connection off
async def test_a_connection_that_breaks_is_replaced(stores: Stores, database_url: str) -> None:
    which, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL {}"),
    }[make_url(database_url).get_backend_name()]
    async with Database.open(database_url) as killer:

        async def cut_off(victim: int) -> None:
            async with killer.read() as session:
                await session.execute(text(end.format(victim)))

        async def until_it_is_noticed() -> None:
            async with stores.database.read() as session:
                await cut_off(await session.scalar(text(which)) or 0)
                while True:  # MySQL answers once more
                    await session.scalar(text(which))

        with pytest.raises(DatabaseUnavailable):
            await until_it_is_noticed()
        async with stores.database.read() as session:
            pooled = await session.scalar(text(which))
        await cut_off(pooled or 0)
        await stores.database.check()


async def test_a_pool_that_is_used_up(database_url: str) -> None:
    async with Database.open(database_url, pool_size=1, pool_seconds=0.05) as database:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(DatabaseUnavailable):
                await database.check()
        await database.check()


async def test_an_sqlite_file_that_somebody_keeps_locked(tmp_path: Path) -> None:
    file = tmp_path / "locked.sqlite3"
    async with Database.open(f"sqlite+aiosqlite:///{file}?timeout=0.05") as database:
        await database.check()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await database.check()
            with pytest.raises(DatabaseUnavailable):
                async with database.write() as session:
                    await session.execute(text("CREATE TABLE t (n INTEGER)"))
            other.execute("ROLLBACK")
        async with database.write() as session:
            await session.execute(text("CREATE TABLE t (n INTEGER)"))


async def test_a_defect_is_not_called_unavailable(stores: Stores) -> None:
    with pytest.raises(DBAPIError):
        async with stores.database.read() as session:
            await session.execute(text("SELECT nothing FROM nowhere"))


async def test_tables_that_are_missing_are_noticed(tmp_path: Path) -> None:
    async with Database.open(f"sqlite+aiosqlite:///{tmp_path / 'empty.sqlite3'}") as database:
        with pytest.raises(NotMigratedError, match="answerdesk migrate"):
            await database.require_migrated()
        with pytest.raises(OperationalError):
            await Stores.on(database).accounts.get_user(1)


async def test_tables_that_are_there_are_accepted(stores: Stores) -> None:
    await stores.database.require_migrated()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("postgres://h/d", "postgresql+asyncpg"),
        ("postgresql://h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg://h/d", "postgresql+asyncpg"),
        ("mysql://h/d", "mysql+asyncmy"),
        ("mariadb+asyncmy://h/d", "mysql+asyncmy"),
    ],
)
def test_the_driver_may_be_left_out(given: str, driver: str) -> None:
    assert parse_url(given).drivername == driver


@pytest.mark.parametrize(
    "given", ["oracle://h/d", "sqlite://", "sqlite+aiosqlite:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_an_address_that_we_cannot_use(given: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL"):
        Database(given)


async def test_names_are_for_people(stores: Stores, database_url: str) -> None:
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"}
    assert stores.database.name == names[make_url(database_url).get_backend_name()]
