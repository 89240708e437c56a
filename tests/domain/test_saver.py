"""Saving all running turns at once, over a real store: what is written when, and what one turn can do to the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.tables import TurnRow
from db.turns import SqlTurnStore
from domain.errors import DatabaseUnavailable
from domain.model import Source, TurnStatus, User
from domain.ports import TurnStore
from domain.records import BegunTurn, TurnProgress
from domain.saver import Growing, TurnSaver
from tests.stores import LEASE, Stores, outcome


class Text(Growing):
    """A turn's text and sources, with the same bookkeeping as a recorder's."""

    def __init__(self, begun: BegunTurn, text: str = "", ordinals: tuple[int, ...] = ()) -> None:
        self.id = begun.turn.id
        self.lost = asyncio.Event()
        self._answer_id = begun.answer.id
        self._offered: tuple[str, tuple[int, ...]] = ("", ())
        self._stored: tuple[str, tuple[int, ...]] = ("", ())
        self.text = text
        self.ordinals: tuple[int, ...] = ordinals

    def unsaved(self) -> TurnProgress | None:
        if self._stored == (self.text, self.ordinals):
            return None
        self._offered = (self.text, self.ordinals)
        sources = (Source(self._answer_id, n, "help", "doc", "Title", None, "…", 1.0) for n in self.ordinals)
        return TurnProgress(self.text, "s", None, (), tuple(sources))

    def saved(self) -> None:
        self._stored = self._offered


class Watched(SqlTurnStore):
    """Keeps which turns each save was for; can be away."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.away = False
        self.saves: list[dict[int, bool]] = []
        """For each save: by the turn's id, whether it was more than its lease."""
        self.done = asyncio.Event()

    async def save_progress(self, batch: Mapping[int, TurnProgress | None], lease: timedelta) -> set[int]:
        self.saves.append({turn_id: progress is not None for turn_id, progress in batch.items()})
        self.done.set()
        if self.away:
            raise DatabaseUnavailable
        return await super().save_progress(batch, lease)

    async def next_save(self) -> dict[int, bool]:
        self.done.clear()
        async with asyncio.timeout(10):
            await self.done.wait()
        return self.saves[-1]


@pytest.fixture
async def user(database: Database) -> User:
    return await SqlAccountStore(database).create_user("ann", "ann@x.test", "-")


@pytest.fixture
def store(database: Database) -> Watched:
    return Watched(database)


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores.on(database)


@asynccontextmanager
async def saving(store: TurnStore, *texts: Text, lease: timedelta = LEASE) -> AsyncIterator[TurnSaver]:
    saver = TurnSaver(store, lease)
    for text in texts:
        saver.keep(text.id, text, text.lost.set)
    try:
        yield saver
    finally:
        await saver.close()


async def begin(stores: Stores, user: User, lease: timedelta = LEASE) -> BegunTurn:
    return await stores.begin(await SqlChatStore(stores.database).create_chat(user.id, "chat"), user, lease=lease)


async def until(stores: Stores, user: User, turn_id: int, text: str) -> None:
    async with asyncio.timeout(10):
        while True:
            stored = await stores.turns.load_turn(user.id, turn_id)
            if stored is not None and stored.answer.text == text:
                return
            await asyncio.sleep(0.01)


async def test_all_turns_are_saved_in_one_transaction(stores: Stores, user: User, store: Watched) -> None:
    texts = [Text(await begin(stores, user), f"Text {n}") for n in range(5)]
    async with saving(store, *texts):
        assert await store.next_save() == {text.id: True for text in texts}
        for text in texts:
            await until(stores, user, text.id, text.text)
        texts[2].text += " grows"
        assert await store.next_save() == {texts[2].id: True}


async def test_saving_ends_with_the_last_turn_and_begins_with_the_next(
    stores: Stores, user: User, store: Watched
) -> None:
    one, other = Text(await begin(stores, user), "One"), Text(await begin(stores, user), "Other")
    async with saving(store, one) as saver:
        await until(stores, user, one.id, "One")
        saver.forget(one.id)
        (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "save turns")
        async with asyncio.timeout(5):
            await task
        saver.keep(other.id, other, other.lost.set)
        await until(stores, user, other.id, "Other")


async def test_a_turn_that_the_store_refuses_is_left_out(stores: Stores, user: User, store: Watched) -> None:
    good, bad = Text(await begin(stores, user), "Good"), Text(await begin(stores, user), "Bad", (1, 1))
    async with saving(store, bad, good):
        await until(stores, user, good.id, "Good")
        good.text = "Better"
        await until(stores, user, good.id, "Better")
        assert {bad.id: True, good.id: True} not in store.saves[1:]
        assert not bad.lost.is_set()
        bad.ordinals = (1,)
        await until(stores, user, bad.id, "Bad")
        bad.text, good.text = "Not bad", "Best"
        async with asyncio.timeout(10):
            while await store.next_save() != {bad.id: True, good.id: True}:
                bad.text, good.text = bad.text + "!", good.text + "!"


async def test_what_could_not_be_saved_is_saved_when_the_database_is_back(
    stores: Stores, user: User, store: Watched
) -> None:
    text = Text(await begin(stores, user), "Begun")
    async with saving(store, text):
        store.away = True
        await store.next_save()
        await store.next_save()
        store.away = False
        await until(stores, user, text.id, "Begun")


async def test_the_leases_of_turns_that_wait_are_renewed(stores: Stores, user: User, database: Database) -> None:
    lease = timedelta(seconds=1.5)
    waiting = Text(await begin(stores, user, lease))

    async def leased() -> datetime:
        async with database.read() as session:
            found = await session.scalar(select(TurnRow.lease_until).where(TurnRow.id == waiting.id))
        assert found is not None
        return found

    first = await leased()
    async with saving(SqlTurnStore(database), waiting, lease=lease), asyncio.timeout(10):
        while await leased() < first + lease:
            assert await stores.queue.interrupt_expired() == []
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("grows", [True, False])
async def test_a_turn_that_is_not_ours_any_more_is_lost_once(stores: Stores, user: User, grows: bool) -> None:
    begun = await begin(stores, user)
    text, other = Text(begun, "Half" if grows else ""), Text(await begin(stores, user), "Other")
    progress = TurnProgress("Ended elsewhere", "s", None, (), ())
    assert await stores.turns.finish_turn(text.id, outcome(progress, TurnStatus.INTERRUPTED))
    times = 0

    def lost() -> None:
        nonlocal times
        times += 1
        text.lost.set()

    async with saving(stores.turns, other, lease=LEASE if grows else timedelta(0)) as saver:
        saver.keep(text.id, text, lost)
        async with asyncio.timeout(10):
            await text.lost.wait()
        other.text = "Another"
        await until(stores, user, other.id, "Another")
    assert times == 1
    stored = await stores.turns.load_turn(user.id, text.id)
    assert stored is not None
    assert stored.answer.text == "Ended elsewhere"
