"""The suite of the TurnStore and MessageStore ports: answering a question anew, and the versions that come of it."""

import asyncio

import pytest

from domain.errors import ChatBusy, IdempotencyMismatch, NotFound
from domain.model import ChatSession, Rating, TurnStatus, User
from domain.pages import PageRequest
from domain.records import BegunTurn, StoredTurn, TurnRequest
from tests.stores import LEASE, NOBODYS_IDS, RAN_OUT, Stores, outcome, progress, source


@pytest.fixture
async def chat(stores: Stores, alice: User) -> ChatSession:
    return await stores.chat(alice)


async def again(stores: Stores, user: User, message_id: int, key: str | None = None) -> BegunTurn:
    return await stores.turns.begin_again(user.id, message_id, TurnRequest(LEASE, key))


async def end(stores: Stores, begun: BegunTurn, text: str) -> StoredTurn:
    stored = await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, text, source(begun, 1))))
    assert stored is not None
    return stored


async def test_a_new_answer_takes_the_place_of_the_old(stores: Stores, alice: User, chat: ChatSession) -> None:
    """Wherever it stands in the conversation, and by whichever message it was asked for."""
    first = await stores.answered(chat, alice, "One?")
    second = await stores.answered(chat, alice, "Two?")
    begun = await again(stores, alice, first.answer.id)
    assert begun.created
    assert (begun.turn.status, begun.turn.agents) == (TurnStatus.RUNNING, ("help",))
    assert begun.user_message == first.user_message
    assert begun.answer.id > second.answer.id
    assert await stores.texts(alice, chat) == ["One?", "", "Two?", second.answer.text]
    newer = await end(stores, begun, "Anew.")
    newest = await end(stores, await again(stores, alice, first.user_message.id), "Once more.")
    assert await stores.texts(alice, chat) == ["One?", "Once more.", "Two?", second.answer.text]
    assert newest.user_message == first.user_message

    versions = await stores.messages.get_versions(
        alice.id, [first.answer.id, newest.answer.id, first.user_message.id, second.answer.id]
    )
    assert [m.id for m in versions[first.answer.id]] == [first.answer.id, newer.answer.id, newest.answer.id]
    assert [m.text for m in versions[newest.answer.id]] == [first.answer.text, "Anew.", "Once more."]
    assert versions[first.user_message.id] == (first.user_message,)
    assert [m.id for m in versions[second.answer.id]] == [second.answer.id]


async def test_every_version_keeps_its_turn_its_sources_and_its_rating(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    begun = await stores.begin(chat, alice, "One?")
    first = await end(stores, begun, "First [1].")
    await stores.messages.rate_message(alice.id, first.answer.id, Rating.DOWN, None)
    second = await end(stores, await again(stores, alice, first.answer.id), "Second [1].")
    for stored, text in ((first, "First [1]."), (second, "Second [1].")):
        loaded = await stores.turns.load_turn(alice.id, stored.turn.id)
        assert loaded is not None
        assert (loaded.answer.text, loaded.user_message) == (text, first.user_message)
        assert loaded.answer.sources == stored.answer.sources != ()
    found = await stores.messages.get_messages(alice.id, [first.answer.id, second.answer.id])
    assert [found[i].rating for i in sorted(found)] == [Rating.DOWN, Rating.NONE]


async def test_memory_holds_the_newest_versions_of_what_came_before(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    first = await stores.answered(chat, alice, "One?")
    second = await stores.answered(chat, alice, "Two?")
    third = await stores.answered(chat, alice, "Three?")
    await end(stores, await again(stores, alice, first.answer.id), "Anew.")
    recent = stores.messages.recent_messages
    before_third = [m.text for m in await recent(chat.id, third.user_message.id, 10)]
    assert before_third == ["One?", "Anew.", "Two?", second.answer.text]
    assert [m.text for m in await recent(chat.id, second.user_message.id, 1)] == ["Anew."]
    assert await recent(chat.id, first.user_message.id, 10) == []


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_pages_keep_the_order(stores: Stores, alice: User, chat: ChatSession, size: int) -> None:
    turns = [await stores.answered(chat, alice, f"{n}?") for n in range(3)]
    for turn in turns:
        await end(stores, await again(stores, alice, turn.answer.id), f"{turn.user_message.text} anew")
    whole, seen, cursor = await stores.texts(alice, chat), list[str](), None
    while True:
        page = (await stores.messages.list_messages(alice.id, [chat.id], PageRequest(size, after=cursor)))[chat.id]
        seen += [message.text for message in page.items]
        if not page.has_next:
            break
        cursor = page.edges[-1].cursor
    assert seen == whole == ["0?", "0? anew", "1?", "1? anew", "2?", "2? anew"]


async def test_only_ones_own_messages_are_answered_anew(
    stores: Stores, alice: User, bob: User, chat: ChatSession
) -> None:
    stored = await stores.answered(chat, alice)
    for user, message_id in [(bob, stored.answer.id), *((alice, nobodys) for nobodys in NOBODYS_IDS)]:
        with pytest.raises(NotFound):
            await again(stores, user, message_id)
    assert await stores.messages.get_versions(bob.id, [stored.answer.id]) == {}
    assert await stores.messages.get_versions(alice.id, NOBODYS_IDS) == {}


async def test_an_interrupted_answer_is_answered_anew(stores: Stores, alice: User, chat: ChatSession) -> None:
    dead = await stores.begin(chat, alice, "One?", lease=RAN_OUT)
    begun = await again(stores, alice, dead.answer.id)
    assert begun.created
    assert await stores.texts(alice, chat) == ["One?", ""]
    versions = await stores.messages.get_versions(alice.id, [begun.answer.id])
    assert [m.id for m in versions[begun.answer.id]] == [dead.answer.id, begun.answer.id]


async def test_a_chat_answers_one_question_at_a_time_anew_too(stores: Stores, alice: User, chat: ChatSession) -> None:
    stored = await stores.answered(chat, alice)
    begun = await again(stores, alice, stored.answer.id)
    for message_id in (stored.answer.id, begun.answer.id):
        with pytest.raises(ChatBusy) as busy:
            await again(stores, alice, message_id)
        assert busy.value.turn_id == begun.turn.id
    queued = await stores.turns.begin_again(alice.id, stored.answer.id, TurnRequest(LEASE, enqueue=True))
    assert queued.turn.status is TurnStatus.QUEUED
    assert await stores.texts(alice, chat) == [stored.user_message.text, ""]


async def test_a_key_claims_one_new_answer(stores: Stores, alice: User, chat: ChatSession) -> None:
    first = await stores.answered(chat, alice, "One?", "asked")
    other = await stores.answered(chat, alice, "One?")
    begun = await asyncio.gather(*(again(stores, alice, first.answer.id, "anew") for _ in range(4)))
    assert len({b.turn.id for b in begun}) == 1
    assert sum(b.created for b in begun) == 1
    for message_id, key in ((other.answer.id, "anew"), (first.answer.id, "asked")):
        with pytest.raises(IdempotencyMismatch):
            await again(stores, alice, message_id, key)
    with pytest.raises(IdempotencyMismatch):
        await stores.begin(chat, alice, "One?", "anew")


async def test_a_turn_that_begins_recalls_what_was_said_before(stores: Stores, alice: User, chat: ChatSession) -> None:
    """At once, what the message store would tell of it later."""
    first = await stores.answered(chat, alice, "One?")
    await end(stores, await again(stores, alice, first.answer.id), "Anew.")
    second = await stores.answered(chat, alice, "Two?")
    other = await stores.answered(await stores.chat(alice), alice, "Elsewhere?")
    recalling = TurnRequest(LEASE, recall=3)
    begun = await stores.turns.begin_turn(alice.id, chat.id, "Three?", (), "Three", recalling)
    assert begun.before is not None
    assert [message.text for message in begun.before] == ["Anew.", "Two?", second.answer.text]
    assert list(begun.before) == await stores.messages.recent_messages(chat.id, begun.user_message.id, 3)
    waiting = await stores.turns.begin_turn(
        alice.id, chat.id, "Four?", (), "Four", TurnRequest(LEASE, enqueue=True, recall=3)
    )
    assert waiting.turn.status is TurnStatus.QUEUED
    assert waiting.before is None
    anew = await stores.turns.begin_again(alice.id, other.answer.id, recalling)
    assert anew.before == []
    await end(stores, anew, "Elsewhere.")
    assert (await again(stores, alice, other.answer.id)).before is None
