"""What was said at the beginning of a long chat is known at its end, at the same cost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from db.summaries import SqlSummaryStore
from domain.agents.answering import DirectModel
from domain.agents.memory import recalled
from domain.agents.notes import Notes
from domain.agents.recollection import FROM_THE_CHAT
from domain.agents.summaries import READ, WINDOW, Summaries, Summary
from domain.errors import DatabaseUnavailable, ModelUnavailable
from domain.model import Message
from domain.pages import PageRequest
from domain.records import StoredSummary, TurnRequest
from providers.direct_answers import DirectAnswers
from providers.openai import close_model, openai_model
from settings import Settings
from tests.db.long_chats import LongChat, forget, long_chat
from tests.db.test_turn_statements import told
from tests.domain.agents.small_desks import Desk, small_desk
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.stores import LEASE, Stores, outcome, progress

__all__ = ["small_desk"]

FACT = "We are a team of 12."


@pytest.fixture
async def chat(stores: Stores, small_desk: Desk) -> AsyncIterator[LongChat]:
    """Whose third message states a fact."""
    async with long_chat(stores, small_desk, "ada") as opened:
        await opened.ask("How often should I water tomatoes?")
        await opened.ask(f"{FACT} Can we book a study room?")
        yield opened


class Fails(DirectModel):
    async def write(self, asked: Callable[[], Sequence[BaseMessage]], sink: Callable[[str], None]) -> AIMessage:
        sink("It is")
        raise ModelUnavailable


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        yield server


@pytest.fixture
async def model(upstream: AzureOpenAIStandIn) -> AsyncIterator[DirectAnswers]:
    made = openai_model(Settings(_env_file=None, openai_model="m", openai_base_url=f"{upstream.url}/v1"))
    yield made
    await close_model(made)


async def notes(chat: LongChat) -> Notes:
    stored = await chat.stores.summaries.get_summary(chat.chat.id)
    assert stored is not None
    return Summary.of(stored).notes


async def test_a_fact_of_message_3_is_known_at_message_300(
    chat: LongChat, upstream: AzureOpenAIStandIn, model: DirectAnswers
) -> None:
    await chat.chatter(40)
    early, _ = await cost_of_ten(chat)
    await chat.chatter(300)
    answer = await chat.ask("What is my team size?")
    assert f"you wrote: “{FACT}”" in answer.text
    assert answer.text.startswith("Earlier in this chat, on ")
    assert answer.text.endswith(FROM_THE_CHAT)
    assert answer.sources == ()
    assert answer.model is None

    await chat.ask("How many study rooms do we need?", chat.answering_by(model))
    *_, asked = upstream.requests[-1].body["messages"]
    notes, _, question = asked["content"].partition("</notes>")
    assert f"- {FACT}\n" in notes
    assert FACT not in question
    assert len(upstream.requests[-1].body["messages"]) == 1 + WINDOW + 1

    late, stored = await cost_of_ten(chat)
    assert late == early
    assert len(str(stored.notes)) < 10_000


async def cost_of_ten(chat: LongChat) -> tuple[tuple[list[str], int], StoredSummary]:
    """The statements and the messages read of ten turns."""
    chat.history.read = 0
    with told() as (statements, _):
        for _ in range(10):
            await chat.ask("How are tomatoes fed?")
    stored = await chat.stores.summaries.get_summary(chat.chat.id)
    assert stored is not None
    return (sorted(statements), chat.history.read), stored


async def test_a_summary_is_made_anew_of_the_messages(chat: LongChat, stores: Stores) -> None:
    await chat.chatter(130)
    before, kept = await stores.summaries.get_summary(chat.chat.id), await notes(chat)
    assert before is not None
    await forget(stores.database, chat.chat.id)
    remade = Summaries(stores.summaries)
    remade.fell_behind(chat.chat.id, await message_after(chat, before.up_to_message_id))
    remade.catch_up(chat.chat.id)
    await remade.settled()
    assert await stores.summaries.get_summary(chat.chat.id) == before
    assert FACT in [fact.text for fact in kept.facts]


async def message_after(chat: LongChat, message_id: int) -> int:
    messages = await all_messages(chat)
    return next(message.id for message in messages if message.id > message_id)


async def all_messages(chat: LongChat) -> list[Message]:
    pages = await chat.stores.messages.list_messages(chat.user.id, [chat.chat.id], PageRequest(1000))
    return list(pages[chat.chat.id].items)


async def test_it_does_not_matter_when_notes_were_taken(chat: LongChat) -> None:
    """What the workflow remembers is what folding all messages at once gives."""
    await chat.chatter(60)
    for _ in range(6):
        await chat.chatter(2 * chat.said + 2)
        messages = await all_messages(chat)
        begun = await chat.stores.begin(chat.chat, chat.user, "So?")
        read = await chat.stores.messages.recent_messages(chat.chat.id, begun.user_message.id, READ)
        summary = await chat.summaries.read(chat.chat.id)
        assert recalled(read, summary).notes == recalled(messages).notes
        await chat.stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "")))


async def test_an_old_chat_is_caught_up_with(chat: LongChat, stores: Stores) -> None:
    """One of before there were summaries, or of another release's."""
    await chat.chatter(100)
    stored = await stores.summaries.get_summary(chat.chat.id)
    assert stored is not None
    strange = StoredSummary(stored.up_to_message_id, stored.version + 1, {"facts": "of another form"})
    assert await stores.summaries.save_summary(chat.chat.id, strange, None, [])
    assert FACT not in (await chat.ask("What is my team size?")).text
    assert FACT in (await chat.ask("What is my team size?")).text
    assert await notes(chat)


async def test_workers_that_take_notes_at_once_do_not_harm_them(chat: LongChat, stores: Stores) -> None:
    await chat.chatter(130)
    expected = await stores.summaries.get_summary(chat.chat.id)
    assert expected is not None
    before = await message_after(chat, expected.up_to_message_id)
    await forget(stores.database, chat.chat.id)
    workers = [Summaries(stores.summaries) for _ in range(5)]
    for worker in workers:
        worker.fell_behind(chat.chat.id, before)
        worker.catch_up(chat.chat.id)
    await asyncio.gather(*(worker.settled() for worker in workers))
    made = await stores.summaries.get_summary(chat.chat.id)
    assert made is not None
    assert made.up_to_message_id <= expected.up_to_message_id
    for worker in workers:  # whoever came second had given up
        worker.fell_behind(chat.chat.id, before)
        worker.catch_up(chat.chat.id)
        await worker.settled()
    assert await stores.summaries.get_summary(chat.chat.id) == expected


async def test_nobody_else_hears_of_it(chat: LongChat, stores: Stores, small_desk: Desk) -> None:
    await chat.chatter(60)
    another = LongChat(stores, chat.user, await stores.chat(chat.user), small_desk, chat.summaries)
    async with long_chat(stores, small_desk, "bob") as bobs:
        for other in (another, bobs):
            await other.chatter(50)
            assert FACT not in (await other.ask("What is my team size?")).text
    assert FACT in (await chat.ask("What is my team size?")).text


async def test_a_turn_that_failed_is_remembered_as_any_other(chat: LongChat) -> None:
    await chat.chatter(30)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            await chat.ask(
                "Our fiscal year ends in June. How often do tomatoes need water?", chat.answering_by(Fails())
            )
    await chat.chatter(90)
    assert "Our fiscal year ends in June." in (await chat.ask("When does our fiscal year end?")).text
    assert FACT in (await chat.ask("What is my team size?")).text


async def test_an_answer_that_is_written_anew_changes_the_notes(chat: LongChat, stores: Stores) -> None:
    await chat.chatter(60)
    messages = await all_messages(chat)
    last = (await notes(chat)).exchanges[-1]
    stored = await stores.summaries.get_summary(chat.chat.id)
    assert stored is not None
    place = next(number for number, message in enumerate(messages) if message.id == stored.up_to_message_id)
    assert messages[place].text.startswith(last.answered[:20])
    begun = await stores.turns.begin_again(chat.user.id, messages[place].id, TurnRequest(LEASE))
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Something else entirely.")))
    assert await stores.summaries.get_summary(chat.chat.id) is None
    await chat.ask("How are tomatoes fed?")
    renewed = await notes(chat)
    assert "Something else entirely." in [it.answered for it in renewed.exchanges]
    assert FACT in [fact.text for fact in renewed.facts]


class Away(SqlSummaryStore):
    """Stores nothing while it is away."""

    away = True

    async def save_summary(
        self, chat_id: int, summary: StoredSummary, before: StoredSummary | None, covered: Sequence[int]
    ) -> bool:
        if self.away:
            raise DatabaseUnavailable
        return await super().save_summary(chat_id, summary, before, covered)


async def test_notes_that_cannot_be_stored_are_taken_later(stores: Stores, small_desk: Desk) -> None:
    store = Away(stores.database)
    async with long_chat(replace(stores, summaries=store), small_desk, "eve") as chat:
        await chat.ask(f"{FACT} Can we book a study room?")
        await chat.chatter(60)
        assert await store.get_summary(chat.chat.id) is None
        store.away = False
        await chat.ask("How are tomatoes fed?")
        assert FACT in (await chat.ask("What is my team size?")).text
