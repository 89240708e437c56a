"""The suite of the SummaryStore port."""

import asyncio
from dataclasses import replace

import pytest

from domain.model import ChatSession, Message, User
from domain.records import StoredSummary, StoredTurn, TurnRequest
from tests.stores import LEASE, NOBODYS_IDS, UNICODE, Stores, outcome, progress

VERSION = 7


async def conversation(stores: Stores, user: User, turns: int) -> tuple[ChatSession, list[StoredTurn]]:
    chat = await stores.chat(user)
    return chat, [await stores.answered(chat, user, f"Question {n}?") for n in range(turns)]


def messages(*turns: StoredTurn) -> list[Message]:
    return [message for turn in turns for message in (turn.user_message, turn.answer)]


def up_to(turn: StoredTurn, *facts: str) -> StoredSummary:
    return StoredSummary(turn.answer.id, VERSION, {"facts": list(facts)})


def ids(*turns: StoredTurn) -> list[int]:
    return [message.id for message in messages(*turns)]


async def test_a_summary_is_kept_as_it_was_saved(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 3)
    other = await stores.chat(alice)
    assert await stores.summaries.get_summary(chat.id) is None
    first, second = up_to(turns[0], *UNICODE), up_to(turns[2])
    assert await stores.summaries.save_summary(chat.id, first, None, ids(turns[0]))
    assert await stores.summaries.get_summary(chat.id) == first
    assert await stores.summaries.save_summary(chat.id, second, first, ids(*turns[1:]))
    assert await stores.summaries.get_summary(chat.id) == second
    assert await stores.summaries.get_summary(other.id) is None
    for nobody in NOBODYS_IDS:
        assert await stores.summaries.get_summary(nobody) is None
        assert not await stores.summaries.save_summary(nobody, first, None, [])


async def test_who_comes_second_saves_nothing(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 3)
    first = up_to(turns[0])
    rivals = [up_to(turns[1], f"worker {number}") for number in range(6)]
    for before, covered in ((None, turns[:1]), (first, turns[1:2])):
        offered = [first] * 6 if before is None else rivals
        saved = await asyncio.gather(
            *(stores.summaries.save_summary(chat.id, one, before, ids(*covered)) for one in offered)
        )
        assert saved.count(True) == 1
        assert await stores.summaries.get_summary(chat.id) == offered[saved.index(True)]


async def test_what_another_release_wrote_counts_for_nothing(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 2)
    strange = replace(up_to(turns[1]), version=VERSION + 1, notes={"of another": ["form"]})
    assert await stores.summaries.save_summary(chat.id, strange, None, ids(*turns))
    assert await stores.summaries.get_summary(chat.id) == strange
    ours = up_to(turns[0])
    assert not await stores.summaries.save_summary(chat.id, up_to(turns[1]), ours, ids(turns[1]))
    assert await stores.summaries.save_summary(chat.id, ours, None, ids(turns[0]))
    assert await stores.summaries.get_summary(chat.id) == ours


async def test_a_summary_goes_with_its_chat(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 1)
    other, others = await conversation(stores, alice, 1)
    for one, covered in ((chat, turns), (other, others)):
        assert await stores.summaries.save_summary(one.id, up_to(covered[0]), None, ids(*covered))
    assert await stores.chats.delete_chat(alice.id, chat.id)
    assert await stores.summaries.get_summary(chat.id) is None
    assert await stores.summaries.get_summary(other.id) is not None
    assert not await stores.summaries.save_summary(chat.id, up_to(turns[0]), None, ids(*turns))
    assert await stores.summaries.messages_between(chat.id, None, turns[0].answer.id, 10) == []


async def test_messages_are_read_in_whole_exchanges(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 5)
    await conversation(stores, alice, 2)
    between, last = stores.summaries.messages_between, turns[4].user_message.id
    assert await between(chat.id, None, last, 100) == messages(*turns[:4])
    assert await between(chat.id, None, turns[4].answer.id, 100) == messages(*turns[:4])
    assert await between(chat.id, None, last, 8) == messages(*turns[:4])
    assert await between(chat.id, None, last, 4) == messages(*turns[:2])
    assert await between(chat.id, None, last, 5) == messages(*turns[:2])
    assert await between(chat.id, turns[1].answer.id, last, 100) == messages(*turns[2:4])
    assert await between(chat.id, turns[3].answer.id, last, 100) == []


async def test_nothing_is_read_from_where_an_answer_is_to_come(stores: Stores, alice: User) -> None:
    chat, turns = await conversation(stores, alice, 4)
    running = await stores.begin(chat, alice)
    assert await stores.summaries.messages_between(chat.id, None, running.answer.id, 100) == messages(*turns)
    queued = TurnRequest(LEASE, enqueue=True)
    await stores.turns.begin_again(alice.id, turns[1].answer.id, queued)
    assert await stores.summaries.messages_between(chat.id, None, running.answer.id, 100) == messages(turns[0])


@pytest.mark.parametrize("of", ["question", "answer"])
async def test_answering_anew_what_it_covers_removes_it(stores: Stores, alice: User, of: str) -> None:
    chat, turns = await conversation(stores, alice, 3)
    covering = up_to(turns[1])
    assert await stores.summaries.save_summary(chat.id, covering, None, ids(*turns[:2]))
    await answered_anew(stores, alice, turns[2], of)
    assert await stores.summaries.get_summary(chat.id) == covering  # which does not go so far
    again = await answered_anew(stores, alice, turns[1], of)
    assert await stores.summaries.get_summary(chat.id) is None
    read = await stores.summaries.messages_between(chat.id, None, turns[2].user_message.id, 100)
    assert [message.id for message in read] == [*ids(turns[0]), turns[1].user_message.id, again]
    # Who had read the old answer is too late.
    assert not await stores.summaries.save_summary(chat.id, covering, None, ids(*turns[:2]))
    assert not await stores.summaries.save_summary(chat.id, up_to(turns[2]), covering, [turns[2].user_message.id])


async def answered_anew(stores: Stores, user: User, turn: StoredTurn, of: str) -> int:
    message = turn.user_message if of == "question" else turn.answer
    begun = await stores.turns.begin_again(user.id, message.id, TurnRequest(LEASE))
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Another answer.")))
    return begun.answer.id
