"""The suite of the MessageStore port."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from db.tables import MessageRow
from domain.errors import BadUserInput
from domain.model import ChatSession, Message, Rating, Role, User
from domain.pages import Page, PageRequest, encode_cursor
from domain.records import StoredTurn
from tests.stores import NOBODYS_IDS, UNICODE, Stores, outcome, progress, source

ALL = PageRequest(100)


async def conversation(stores: Stores, user: User, turns: int = 3) -> tuple[ChatSession, list[Message]]:
    chat = await stores.chat(user)
    stored = [await stores.answered(chat, user, f"Question {n}?") for n in range(turns)]
    return chat, [message for turn in stored for message in (turn.user_message, turn.answer)]


async def cited(stores: Stores, user: User) -> StoredTurn:
    begun = await stores.begin(await stores.chat(user), user)
    sources = (source(begun, 1, (4, 7), (9, 12)), source(begun, 2, excerpt="⁂ é 😀 " * 100), source(begun, 3, (0, 2)))
    stored = await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "See [1], [1] and [3]", *sources)))
    assert stored is not None
    assert stored.answer.sources == sources
    return stored


async def listing(stores: Stores, user: User, chat: ChatSession, request: PageRequest = ALL) -> Page[Message]:
    return (await stores.messages.list_messages(user.id, [chat.id], request))[chat.id]


async def test_messages_are_listed_oldest_first(stores: Stores, alice: User) -> None:
    chat, messages = await conversation(stores, alice)
    await conversation(stores, alice)
    page = await listing(stores, alice, chat)
    assert list(page.items) == messages
    assert [message.role for message in messages] == [Role.USER, Role.ASSISTANT] * 3
    assert (page.has_next, page.has_previous) == (False, False)
    assert await listing(stores, alice, await stores.chat(alice)) == Page((), False, False)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 7])
async def test_pages_go_forwards_and_backwards(stores: Stores, alice: User, size: int) -> None:
    chat, messages = await conversation(stores, alice)
    seen: list[Message] = []
    page = await listing(stores, alice, chat, PageRequest(size))
    seen += page.items
    while page.has_next:
        page = await listing(stores, alice, chat, PageRequest(size, after=page.edges[-1].cursor))
        assert page.has_previous
        seen += page.items
    assert seen == messages
    seen.clear()
    page = await listing(stores, alice, chat, PageRequest(size, backwards=True))
    seen[:0] = page.items
    while page.has_previous:
        page = await listing(stores, alice, chat, PageRequest(size, backwards=True, before=page.edges[0].cursor))
        assert page.has_next
        seen[:0] = page.items
    assert seen == messages


async def test_a_page_past_either_end_is_empty(stores: Stores, alice: User) -> None:
    chat, _ = await conversation(stores, alice)
    edges = (await listing(stores, alice, chat)).edges
    past = await listing(stores, alice, chat, PageRequest(5, after=edges[-1].cursor))
    assert past == Page((), has_next=False, has_previous=True)
    ahead = await listing(stores, alice, chat, PageRequest(5, backwards=True, before=edges[0].cursor))
    assert ahead == Page((), has_next=True, has_previous=False)


async def test_a_cursor_of_another_list_is_refused(stores: Stores, alice: User) -> None:
    chat, _ = await conversation(stores, alice, turns=1)
    for cursor in ("nonsense", encode_cursor("chats", 1, 1), encode_cursor("messages", True)):
        with pytest.raises(BadUserInput):
            await listing(stores, alice, chat, PageRequest(5, after=cursor))


async def test_somebody_elses_messages_are_like_missing_ones(stores: Stores, alice: User, bob: User) -> None:
    stored = await cited(stores, alice)
    chat_id, answer_id = stored.turn.chat_id, stored.answer.id
    for user_id, ids in [(bob.id, [chat_id, answer_id]), *((alice.id, [n, n]) for n in NOBODYS_IDS)]:
        assert await stores.messages.list_messages(user_id, ids[:1], ALL) == {}
        assert await stores.messages.get_messages(user_id, ids[1:]) == {}
        assert await stores.messages.get_sources(user_id, ids[1:]) == {}
        assert await stores.messages.rate_message(user_id, ids[1], Rating.DOWN, "no") is None
    assert (await stores.messages.get_messages(alice.id, [answer_id]))[answer_id].rating is Rating.NONE


async def test_messages_and_sources_by_id(stores: Stores, alice: User, bob: User) -> None:
    stored = await cited(stores, alice)
    foreign = await cited(stores, bob)
    question, answer = stored.user_message, stored.answer
    ids = [answer.id, foreign.answer.id, question.id, answer.id, 999_999_999]
    found = await stores.messages.get_messages(alice.id, ids)
    assert set(found) == {question.id, answer.id}
    assert found[question.id] == question
    assert (found[answer.id].text, found[answer.id].sources) == (answer.text, ())
    assert await stores.messages.get_sources(alice.id, ids) == {question.id: (), answer.id: answer.sources}
    assert await stores.messages.get_messages(alice.id, []) == {}
    assert await stores.messages.get_sources(alice.id, []) == {}


@pytest.mark.parametrize("text", [*UNICODE, "long 😀 " * 30_000])
async def test_text_is_kept_to_the_letter(stores: Stores, alice: User, text: str) -> None:
    chat = await stores.chat(alice)
    begun = await stores.begin(chat, alice, text)
    cited_text = source(begun, 1, excerpt=text)
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, text, cited_text)))
    assert [message.text for message in (await listing(stores, alice, chat)).items] == [text, text]
    assert await stores.messages.get_sources(alice.id, [begun.answer.id]) == {begun.answer.id: (cited_text,)}


async def test_an_answer_is_rated_again_and_again(stores: Stores, alice: User) -> None:
    stored = await cited(stores, alice)
    for rating, comment in ((Rating.UP, "Thanks 😀"), (Rating.DOWN, None), (Rating.NONE, "Never mind  ")):
        rated = await stores.messages.rate_message(alice.id, stored.answer.id, rating, comment)
        assert rated is not None
        assert (rated.rating, rated.text, rated.id) == (rating, stored.answer.text, stored.answer.id)
        assert await stores.messages.get_messages(alice.id, [rated.id]) == {rated.id: rated}
        async with stores.database.read() as session:
            kept = await session.scalar(select(MessageRow.rating_comment).where(MessageRow.id == rated.id))
        assert kept == comment


async def test_a_question_is_not_rated(stores: Stores, alice: User) -> None:
    stored = await cited(stores, alice)
    assert await stores.messages.rate_message(alice.id, stored.user_message.id, Rating.UP, None) is None
    found = await stores.messages.get_messages(alice.id, [stored.user_message.id])
    assert found[stored.user_message.id].rating is Rating.NONE


async def test_a_rating_and_a_growing_text_leave_each_other_alone(stores: Stores, alice: User) -> None:
    begun = await stores.begin(await stores.chat(alice), alice)
    await stores.save(begun.turn.id, progress(begun, "Half"))
    rated = await stores.messages.rate_message(alice.id, begun.answer.id, Rating.UP, None)
    assert rated is not None
    assert rated.text == "Half"
    stored = await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Half and half")))
    assert stored is not None
    assert (stored.answer.rating, stored.answer.text) == (Rating.UP, "Half and half")


async def test_the_messages_before_one(stores: Stores, alice: User) -> None:
    chat, messages = await conversation(stores, alice)
    other, _ = await conversation(stores, alice)
    recent = stores.messages.recent_messages
    assert await recent(chat.id, messages[4].id, 3) == messages[1:4]
    assert await recent(chat.id, messages[4].id, 100) == messages[:4]
    assert await recent(chat.id, messages[0].id, 3) == []
    assert await recent(chat.id, messages[5].id, 1) == messages[3:4]  # a question goes with its answer
    assert await recent(chat.id, 10**12, 1) == []
    assert await recent(other.id, messages[4].id, 3) == []
    stored = await cited(stores, alice)
    begun = await stores.begin(replace(chat, id=stored.turn.chat_id), alice, "And?")
    assert [m.sources for m in await recent(stored.turn.chat_id, begun.user_message.id, 5)] == [(), ()]
