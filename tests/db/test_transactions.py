"""A store's method happens whole or not at all, and tries again when it collides."""

import asyncio
import inspect

import pytest
from sqlalchemy import make_url, text

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.failures import WriteConflict
from db.logins import SqlLoginStore
from db.messages import SqlMessageStore
from db.transactions import ATTEMPTS, one_transaction
from db.turns import SqlTurnStore
from domain.errors import ChatBusy, DatabaseUnavailable
from tests.stores import Stores

GLANCES = {"is_active"}
"""They are one `Database.glance`, which is whole by itself."""
on_servers = pytest.mark.parametrize("database_url", ["postgresql", "mysql"], indirect=True)


@pytest.mark.parametrize("store", [SqlAccountStore, SqlLoginStore, SqlChatStore, SqlMessageStore, SqlTurnStore])
def test_every_method_of_a_store_is_one_transaction(store: type) -> None:
    methods = {name: method for name, method in inspect.getmembers(store, inspect.isfunction) if name[0] != "_"}
    assert methods
    assert {name for name, method in methods.items() if not hasattr(method, "__wrapped__")} <= GLANCES


async def test_a_cancelled_method_ends_first() -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @one_transaction
    async def method() -> None:
        begun.set()
        await go_on.wait()
        ended.set()

    task = asyncio.create_task(method())
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_cancellation_comes_before_a_failure() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @one_transaction
    async def method() -> None:
        begun.set()
        await go_on.wait()
        raise DatabaseUnavailable

    task = asyncio.create_task(method())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert isinstance(cancelled.value.__cause__, DatabaseUnavailable)


async def test_a_method_that_only_ever_collides_gives_up() -> None:
    attempts = 0

    @one_transaction
    async def method() -> None:
        nonlocal attempts
        attempts += 1
        raise WriteConflict

    with pytest.raises(DatabaseUnavailable):
        await method()
    assert attempts == ATTEMPTS


@on_servers  # SQLite has one writer at a time
async def test_a_deadlock_is_resolved_by_trying_again(stores: Stores) -> None:
    """Two transactions that lock two rows in opposite order, each holding its first before it asks for its second."""
    await stores.user("a")
    await stores.user("b")
    both_hold_one = asyncio.Barrier(2)
    attempts: list[str] = []

    @one_transaction
    async def lock(first: str, second: str) -> None:
        attempts.append(first)
        async with stores.database.write() as session:
            change = text(
                "UPDATE users SET password_hash = CONCAT(password_hash, CAST(:by AS CHAR(1))) WHERE username = :name"
            )
            await session.execute(change, {"name": first, "by": first})
            if len(attempts) <= 2:
                await both_hold_one.wait()
            await session.execute(change, {"name": second, "by": first})

    await asyncio.gather(lock("a", "b"), lock("b", "a"))
    assert len(attempts) == 3
    for name in ("a", "b"):
        found = await stores.accounts.find_credentials(name)
        assert found is not None
        assert sorted(found.password_hash) == sorted("hashab")


async def test_a_row_that_nobody_locked_for_is_found_the_second_time(stores: Stores, database_url: str) -> None:
    """A running turn that comes into the table past our own locks still keeps the chat's slot: the UNIQUE constraint
    refuses the other, which then finds it and is told so."""
    user = await stores.user("alice")
    chat = await stores.chat(user)
    values = "open_chat_id, running_chat_id, agents, routes, timeline, status, created_at, lease_until"
    async with stores.database.write() as session:
        await session.execute(
            text(
                f"INSERT INTO turns (chat_id, {values}) SELECT id, id, id, '[]', '[]', '', 'RUNNING', created_at, "  # noqa: S608
                "'2999-01-01 00:00:00.000000' FROM chat_sessions"
            )
        )
        begin = asyncio.create_task(stores.begin(chat, user))
        while make_url(database_url).get_backend_name() == "postgresql" and not await _somebody_waits(stores):
            await asyncio.sleep(0)
    with pytest.raises(ChatBusy):
        await begin


async def _somebody_waits(stores: Stores) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with stores.database.read() as session:
        return bool(await session.scalar(waiting))
