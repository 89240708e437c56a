"""Transactions as plain functions of a connection: the same promises on every database, whatever thread they are in."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, func, insert, make_url, select, text, update
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.tables import LOGINS, USERS
from domain.errors import DatabaseUnavailable, ServiceUnavailable
from tests.stores import Stores

COUNT = select(func.count()).select_from(USERS)
RENAME = update(USERS).values(username="changed")

Write = Callable[[Callable[[Connection], Any]], Coroutine[Any, Any, Any]]


@pytest.fixture(params=["at once", "briefly"])
def write(stores: Stores, request: pytest.FixtureRequest) -> Write:
    return stores.database.write_at_once if request.param == "at once" else stores.database.write_briefly


async def test_what_it_returns_comes_back_and_what_it_wrote_stays(stores: Stores, write: Write) -> None:
    user = await stores.user("alice")
    assert await write(lambda it: it.execute(RENAME).rowcount) == 1
    assert [tuple(row) for row in await stores.database.look(select(USERS.c.username))] == [("changed",)]
    found = await stores.accounts.get_user(user.id)
    assert found is not None
    assert found.username == "changed"


async def test_a_write_that_raises_is_undone(stores: Stores, write: Write) -> None:
    user = await stores.user("alice")

    def change_and_stumble(connection: Connection) -> None:
        connection.execute(RENAME)
        raise LookupError

    with pytest.raises(LookupError):
        await write(change_and_stumble)
    assert await stores.accounts.get_user(user.id) == user


async def test_a_constraint_is_told_and_the_connection_goes_on(stores: Stores, write: Write) -> None:
    await stores.user("alice")
    await stores.user("bob")
    with pytest.raises(IntegrityError):
        await write(lambda it: it.execute(update(USERS).values(username_key="same")))
    assert [tuple(row) for row in await stores.database.look(COUNT)] == [(2,)]


async def test_a_read_sees_one_moment(stores: Stores) -> None:
    def twice(connection: Connection) -> tuple[int | None, int | None]:
        before = connection.scalar(COUNT)
        stores.database.wait_for(lambda: stores.user("alice"))
        return before, connection.scalar(COUNT)

    assert await stores.database.read_at_once(twice) == (0, 0)
    assert await stores.database.read_at_once(lambda it: it.scalar(COUNT)) == 1


@pytest.mark.parametrize("database_url", ["postgresql", "mysql"], indirect=True)  # SQLite has no read-only transactions
async def test_servers_refuse_a_write_in_a_read(stores: Stores) -> None:
    user = await stores.user("alice")
    with pytest.raises(DatabaseUnavailable):
        await stores.database.read_at_once(lambda it: it.execute(RENAME).rowcount)
    assert await stores.accounts.get_user(user.id) == user


async def test_it_waits_for_the_event_loop_which_goes_on_meanwhile(stores: Stores, write: Write) -> None:
    begun, go_on, here = asyncio.Event(), asyncio.Event(), threading.get_ident()

    async def admit() -> int:
        begun.set()
        await go_on.wait()
        return threading.get_ident()

    user = await stores.user("alice")
    writing = asyncio.create_task(write(lambda it: (it.execute(RENAME), stores.database.wait_for(admit))[1]))
    await begun.wait()
    assert await stores.accounts.get_user(user.id) == user  # nothing is committed
    go_on.set()
    assert await writing == here


async def test_what_it_has_done_in_the_event_loop_is_done_in_the_context_of_who_asked(
    stores: Stores, write: Write
) -> None:
    asked_by = ContextVar("asked_by", default="nobody")
    asked_by.set("alice")
    told: list[str] = []

    async def admit() -> None:
        told.append(asked_by.get())

    def visit(_: Connection) -> None:
        stores.database.wait_for(admit)
        stores.database.tell(lambda: told.append(asked_by.get()))

    await write(visit)
    assert told == ["alice", "alice"]


async def test_what_it_waits_for_may_refuse(stores: Stores, write: Write) -> None:
    user = await stores.user("alice")

    async def refuse() -> None:
        raise ServiceUnavailable

    def change(connection: Connection) -> None:
        connection.execute(RENAME)
        stores.database.wait_for(refuse)

    with pytest.raises(ServiceUnavailable):
        await write(change)
    assert await stores.accounts.get_user(user.id) == user


async def test_writers_of_both_kinds_take_turns(stores: Stores, write: Write) -> None:
    """Read first, write then: nobody fails, and nobody's change is lost."""
    await stores.user("alice")
    name = select(USERS.c.username).with_for_update()

    def append(connection: Connection) -> None:
        connection.execute(update(USERS).values(username=f"{connection.scalar(name)}+"))

    async def append_slowly() -> None:
        async with stores.database.write() as session:
            found = await session.scalar(name)
            await session.execute(text("UPDATE users SET username = :name"), {"name": f"{found}+"})

    await asyncio.gather(*(write(append) for _ in range(10)), *(append_slowly() for _ in range(10)))
    assert [row.username for row in await stores.database.look(select(USERS.c.username))] == ["alice" + "+" * 20]


async def test_many_share_one_connection(stores: Stores, database_url: str) -> None:
    async with Database.open(database_url, pool_size=1) as database:
        counts = await asyncio.gather(*(database.read_at_once(lambda it: it.scalar(COUNT)) for _ in range(20)))
        assert counts == [0] * 20


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_settings_of_sqlite_hold_here_too(stores: Stores) -> None:
    settings = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000}
    for name, expected in settings.items():
        assert [tuple(row) for row in await stores.database.look(text(f"PRAGMA {name}"))] == [(expected,)]


async def test_a_glance_tells_what_a_look_does(stores: Stores) -> None:
    query = select(USERS.c.id, USERS.c.username).where(
        USERS.c.username == bindparam("name"), USERS.c.id == bindparam("id"), USERS.c.username != "nobody"
    )
    users = [await stores.user(name) for name in ("alice", "bob")]
    for values in [{"id": user.id, "name": name} for user in users for name in ("alice", "bob", "nobody")]:
        found = [tuple(row) for row in await stores.database.glance(query, values)]
        assert found == [tuple(row) for row in await stores.database.look(query, values)]
        assert len(found) == ((values["id"], values["name"]) in [(user.id, user.username) for user in users])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_brief_write_to_sqlite_runs_in_the_event_loop_but_for_its_commit(stores: Stores) -> None:
    await stores.user("alice")
    here = threading.get_ident()
    assert await stores.database.write_briefly(lambda it: (it.execute(RENAME), threading.get_ident())[1]) == here
    assert await stores.database.write_at_once(lambda it: threading.get_ident()) != here


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_brief_write_waits_in_a_thread_for_another_process_that_writes(
    stores: Stores, database_url: str
) -> None:
    await stores.user("alice")
    with closing(sqlite3.connect(str(make_url(database_url).database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(stores.database.write_briefly(lambda it: it.execute(RENAME).rowcount))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not writing.done()
        other.execute("COMMIT")
        assert await writing == 1
    assert [tuple(row) for row in await stores.database.look(select(USERS.c.username))] == [("changed",)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_brief_write_whose_commit_fails_is_told_and_undone(stores: Stores) -> None:
    user = await stores.user("alice")

    def leave_an_orphan(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # so that the commit finds it
        connection.execute(RENAME)
        login = {"id": "orphan", "user_id": 12345, "created_at": datetime.now(UTC)}
        connection.execute(insert(LOGINS).values(login))

    with pytest.raises(IntegrityError):
        await stores.database.write_briefly(leave_an_orphan)
    assert await stores.accounts.get_user(user.id) == user
    assert await stores.database.write_briefly(lambda it: it.execute(RENAME).rowcount) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_glance_at_sqlite_needs_no_thread(stores: Stores, database_url: str) -> None:
    async with Database.open(database_url, pool_size=1) as database:

        async def glance() -> int:
            ((count,),) = await database.glance(COUNT, {})
            return int(count)

        assert await database.read_at_once(lambda it: database.wait_for(glance)) == 0


async def test_a_glance_does_not_keep_the_event_loop_waiting(tmp_path: Path) -> None:
    file = tmp_path / "locked.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA locking_mode = EXCLUSIVE", "CREATE TABLE users (id)"):
            other.execute(statement)
        async with Database.open(f"sqlite:///{file}") as database:
            glancing = asyncio.create_task(database.glance(COUNT, {}))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not glancing.done()
            other.close()
            assert [tuple(row) for row in await glancing] == [(0,)]
