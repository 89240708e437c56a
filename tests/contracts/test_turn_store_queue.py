"""The suite of the TurnStore port: turns that wait in their chat, and what is asked before one is stored."""

import asyncio
import threading
from datetime import timedelta

import pytest

from db.claims import MAX_QUEUED
from domain.errors import ChatBusy, IdempotencyMismatch, NotFound, RateLimited
from domain.model import ChatSession, TurnStatus, User
from domain.records import BegunTurn, PromotedTurn, TurnRequest
from tests.stores import LEASE, RAN_OUT, Stores, outcome, progress


@pytest.fixture
async def chat(stores: Stores, alice: User) -> ChatSession:
    return await stores.chat(alice)


async def ask(
    stores: Stores, chat: ChatSession, user: User, text: str, key: str | None = None, lease: timedelta = LEASE
) -> BegunTurn:
    request = TurnRequest(lease, key, enqueue=True)
    return await stores.turns.begin_turn(user.id, chat.id, text, ("help",), "-", request)


async def end(stores: Stores, begun: BegunTurn) -> None:
    assert await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Done.")))


async def status(stores: Stores, user: User, begun: BegunTurn) -> TurnStatus:
    return (await stores.turns.get_turns(user.id, [begun.turn.id]))[begun.turn.id].status


async def test_turns_wait_in_the_order_of_their_asking(stores: Stores, alice: User, chat: ChatSession) -> None:
    first, second, third = [await ask(stores, chat, alice, text) for text in ("One", "Two", "Three")]
    assert [b.turn.status for b in (first, second, third)] == [TurnStatus.RUNNING, *[TurnStatus.QUEUED] * 2]
    assert await stores.queue.start_queued(second.turn.id, LEASE) == first.turn.id
    assert await stores.queue.start_queued(third.turn.id, LEASE) == first.turn.id
    await end(stores, first)
    assert await stores.queue.start_queued(third.turn.id, LEASE) == second.turn.id
    promoted = await stores.queue.start_queued(second.turn.id, LEASE)
    assert isinstance(promoted, PromotedTurn)
    assert (promoted.username, promoted.begun.turn.status) == ("alice", TurnStatus.RUNNING)
    assert promoted.begun.turn.agents == ("help",)
    assert (promoted.begun.user_message, promoted.begun.answer) == (second.user_message, second.answer)
    assert await stores.queue.start_queued(second.turn.id, LEASE) is None
    assert await stores.queue.start_queued(third.turn.id, LEASE) == second.turn.id
    await end(stores, promoted.begun)
    assert isinstance(await stores.queue.start_queued(third.turn.id, LEASE), PromotedTurn)


async def test_a_chat_where_turns_wait_is_busy(stores: Stores, alice: User, chat: ChatSession) -> None:
    """Who comes later does not overtake."""
    first, second = await ask(stores, chat, alice, "One"), await ask(stores, chat, alice, "Two")
    await end(stores, first)
    with pytest.raises(ChatBusy) as busy:
        await stores.begin(chat, alice)
    assert busy.value.turn_id == second.turn.id
    assert (await ask(stores, chat, alice, "Three")).turn.status is TurnStatus.QUEUED


async def test_so_many_turns_wait_and_no_more(stores: Stores, alice: User, chat: ChatSession) -> None:
    for n in range(MAX_QUEUED + 1):
        await ask(stores, chat, alice, f"{n}", f"key {n}")
    with pytest.raises(ChatBusy):
        await ask(stores, chat, alice, "One more")
    assert not (await ask(stores, chat, alice, f"{MAX_QUEUED}", f"key {MAX_QUEUED}")).created


async def test_a_turn_that_waits_is_cancelled_once(stores: Stores, alice: User, chat: ChatSession) -> None:
    first, second = await ask(stores, chat, alice, "One"), await ask(stores, chat, alice, "Two")
    assert not await stores.queue.cancel_queued(first.turn.id)
    assert await stores.queue.cancel_queued(second.turn.id)
    assert not await stores.queue.cancel_queued(second.turn.id)
    stored = await stores.turns.load_turn(alice.id, second.turn.id)
    assert stored is not None
    assert (stored.turn.status, stored.answer.text, stored.turn.error) == (TurnStatus.STOPPED, "", None)
    assert await stores.queue.start_queued(second.turn.id, LEASE) is None
    await end(stores, first)
    assert (await stores.begin(chat, alice)).created


async def test_many_who_start_one_turn_start_it_once(stores: Stores, alice: User, chat: ChatSession) -> None:
    first, second, third = [await ask(stores, chat, alice, text) for text in ("One", "Two", "Three")]
    await end(stores, first)
    tries = [stores.queue.start_queued(begun.turn.id, LEASE) for begun in (second, third) * 4]
    started = [found for found in await asyncio.gather(*tries) if isinstance(found, PromotedTurn)]
    assert [promoted.begun.turn.id for promoted in started] == [second.turn.id]


async def test_a_turn_that_nobody_waits_for_is_found(stores: Stores, alice: User) -> None:
    """The first of each chat where none runs, when its lease ran out."""
    chat, busy, fresh = [await stores.chat(alice) for _ in range(3)]
    done, second, third = [await ask(stores, chat, alice, "1")] + [
        await ask(stores, chat, alice, text, lease=RAN_OUT) for text in ("2", "3")
    ]
    await end(stores, done)
    for text in ("1", "2"):
        await ask(stores, busy, alice, text)
    running = await ask(stores, fresh, alice, "1")
    await ask(stores, fresh, alice, "2")
    await end(stores, running)
    assert await stores.queue.forgotten_turns() == [second.turn.id]
    assert isinstance(await stores.queue.start_queued(second.turn.id, LEASE), PromotedTurn)
    assert await stores.queue.forgotten_turns() == []
    assert await stores.queue.interrupt_expired() == []
    assert await status(stores, alice, third) is TurnStatus.QUEUED


async def test_a_turn_whose_lease_ran_out_makes_way_for_the_next(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    dead, second = await ask(stores, chat, alice, "1", lease=RAN_OUT), await ask(stores, chat, alice, "2")
    assert second.turn.status is TurnStatus.RUNNING
    assert await status(stores, alice, dead) is TurnStatus.INTERRUPTED


async def test_a_chat_goes_with_the_turns_that_wait(stores: Stores, alice: User, chat: ChatSession) -> None:
    _, second = await ask(stores, chat, alice, "1"), await ask(stores, chat, alice, "2")
    assert await stores.chats.delete_chat(alice.id, chat.id)
    assert await stores.queue.start_queued(second.turn.id, LEASE) is None
    assert not await stores.queue.cancel_queued(second.turn.id)


# ---------------------------------------------------------------- admit


class Door:
    """Counts who is admitted, and lets in so many."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        if self.asked > self.room:
            raise RateLimited(1)


async def test_only_what_is_new_has_to_be_admitted(stores: Stores, alice: User, bob: User, chat: ChatSession) -> None:
    door = Door(room=1)

    async def send(user: User, text: str, key: str | None = None) -> BegunTurn:
        request = TurnRequest(LEASE, key, admit=door)
        return await stores.turns.begin_turn(user.id, chat.id, text, (), "-", request)

    first = await send(alice, "Hello?", "key")
    assert (await send(alice, "Hello?", "key")).turn.id == first.turn.id
    with pytest.raises(IdempotencyMismatch):
        await send(alice, "Hello!", "key")
    with pytest.raises(NotFound):
        await send(bob, "Hello?")
    assert door.asked == 1
    with pytest.raises(RateLimited):
        await send(alice, "Something else", "other")
    await end(stores, first)
    with pytest.raises(RateLimited):
        await send(alice, "Something else", "other")
    door.room = 100
    assert (await send(alice, "Something else", "other")).created


async def test_one_of_many_with_one_key_is_admitted(stores: Stores, alice: User, chat: ChatSession) -> None:
    door = Door(room=1)
    request = TurnRequest(LEASE, "key", admit=door)
    sends = [stores.turns.begin_turn(alice.id, chat.id, "Hello?", (), "-", request) for _ in range(8)]
    begun = await asyncio.gather(*sends)
    assert len({b.turn.id for b in begun}) == 1
    assert sum(b.created for b in begun) == 1


async def test_who_asks_is_told_of_a_new_turn_that_runs_at_once(stores: Stores, alice: User, chat: ChatSession) -> None:
    told: list[tuple[int, BegunTurn]] = []

    def request(key: str) -> TurnRequest:
        return TurnRequest(
            LEASE, key, enqueue=True, recall=9, written=lambda begun: told.append((threading.get_ident(), begun))
        )

    async def ask(text: str, key: str) -> BegunTurn:
        return await stores.turns.begin_turn(alice.id, chat.id, text, (), "-", request(key))

    begun = await ask("One?", "1")
    assert not (await ask("One?", "1")).created
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Yes.")))
    again = await stores.turns.begin_again(alice.id, begun.answer.id, request("2"))
    assert (await ask("Two?", "3")).turn.status is TurnStatus.QUEUED
    assert told == [(threading.get_ident(), begun), (threading.get_ident(), again)]
