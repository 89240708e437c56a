"""The suite of the TurnStore port: leases, which find the turns whose server died."""

import asyncio

import pytest

from domain.errors import ChatBusy, ErrorCode
from domain.model import ChatSession, TurnError, TurnStatus, User
from tests.stores import RAN_OUT, Stores, outcome, progress, source

SERVER_STOPPED = TurnError(ErrorCode.INTERNAL, "The server stopped while answering.", retryable=True)


@pytest.fixture
async def chat(stores: Stores, alice: User) -> ChatSession:
    return await stores.chat(alice)


async def test_a_turn_whose_lease_ran_out_makes_way(stores: Stores, alice: User, chat: ChatSession) -> None:
    dead = await stores.begin(chat, alice, "First")
    written = progress(dead, "Half an ans", source(dead, 1), timeline="s -1 11")
    assert await stores.save(dead.turn.id, written, RAN_OUT)
    begun = await stores.begin(chat, alice, "Second")
    assert begun.created
    stored = await stores.load(alice, dead)
    assert (stored.turn.status, stored.turn.error) == (TurnStatus.INTERRUPTED, SERVER_STOPPED)
    assert stored.turn.ended_at is not None
    assert (stored.answer.text, stored.answer.sources) == ("Half an ans", written.sources)
    assert stored.timeline == "s -1 11"
    assert await stores.texts(alice, chat) == ["First", "Half an ans", "Second", ""]


async def test_a_key_attaches_to_its_turn_though_the_lease_ran_out(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    dead = await stores.begin(chat, alice, "Hello?", "key", RAN_OUT)
    again = await stores.begin(chat, alice, "Hello?", "key")
    assert (again.created, again.turn.id) == (False, dead.turn.id)
    assert (again.turn.status, again.turn.error) == (TurnStatus.INTERRUPTED, SERVER_STOPPED)
    assert (await stores.begin(chat, alice, "Something else")).created


async def test_every_turn_whose_lease_ran_out_is_interrupted_once(stores: Stores, alice: User, bob: User) -> None:
    dead = [await stores.begin(await stores.chat(user), user, lease=RAN_OUT) for user in (alice, bob, alice)]
    alive = await stores.begin(await stores.chat(alice), alice)
    ended = await stores.answered(await stores.chat(alice), alice)
    sweeps = await asyncio.gather(*(stores.queue.interrupt_expired() for _ in range(4)))
    assert sorted(turn_id for sweep in sweeps for turn_id in sweep) == [begun.turn.id for begun in dead]
    assert await stores.queue.interrupt_expired() == []
    ids = [dead[0].turn.id, alive.turn.id, ended.turn.id]
    turns = await stores.turns.get_turns(alice.id, ids)
    assert [turns[i].status for i in ids] == [TurnStatus.INTERRUPTED, TurnStatus.RUNNING, TurnStatus.COMPLETED]
    assert turns[dead[0].turn.id].error == SERVER_STOPPED
    assert (await stores.load(bob, dead[1])).turn.error == SERVER_STOPPED


async def test_a_renewed_lease_keeps_the_turn(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice, lease=RAN_OUT)
    assert await stores.save(begun.turn.id, None)
    assert await stores.queue.interrupt_expired() == []
    with pytest.raises(ChatBusy):
        await stores.begin(chat, alice)
    assert (await stores.load(alice, begun)).turn == begun.turn


async def test_an_interrupted_turn_is_lost_to_its_writer(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice, lease=RAN_OUT)
    await stores.queue.interrupt_expired()
    interrupted = await stores.load(alice, begun)
    written = progress(begun, "Too late", source(begun, 1))
    assert not await stores.save(begun.turn.id, None)
    assert not await stores.save(begun.turn.id, written)
    assert await stores.turns.finish_turn(begun.turn.id, outcome(written)) is None
    assert await stores.load(alice, begun) == interrupted
