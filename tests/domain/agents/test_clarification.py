"""When two agents are nearly equal the user is asked which is meant, once, and the reply settles it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.clarification import clarification, settled
from domain.agents.state import Conversation, Draft, TurnContext
from domain.agents.workflow import build_workflow
from domain.documents import read_documents
from domain.knowledge import ANYBODY
from domain.model import Message, Role, RouteMethod
from providers.embedded_search import EmbeddedSearch
from providers.extractive import ExtractiveChatModel
from tests.domain.agents.deciding_desk import NOW, Deciding, Noted, Told, routes
from tests.domain.agents.small_desks import Desk, told
from tests.standins.azure_openai import AzureOpenAIStandIn

PHONES = """# Phones

## Warranty

The warranty lasts two years, and covers the battery.

## Screens

A cracked screen is replaced within three days.

## Contracts

A contract runs for twelve months and ends by letter.

## Ringtones

Choose a melody under Sounds, then press Save.
"""
LAPTOPS = """# Laptops

## Warranty

The warranty lasts three years, and covers the hinges.

## Keyboards

A keyboard with broken keys is replaced within a week.

## Drives

Swap the drive with a small screwdriver.

## Bags

A padded bag is sold in grey and green.
"""
SUBJECTS = ("Apples", "Pears", "Plums", "Cherries", "Lemons", "Melons", "Grapes", "Figs")
"""Of further pages, so that words are as rare as in a real knowledge base."""
QUESTION = "How long does the warranty last?"
ASKED_BACK = "Do you mean Phones (Everything about mobile telephones) or Laptops (All about portable computers)?"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("shop")
    agents = []
    for name, about, body in (
        ("phones", "Everything about mobile telephones: screens and contracts.", PHONES),
        ("laptops", "All about portable computers: keyboards and drives.", LAPTOPS),
    ):
        (folder / name).mkdir()
        (folder / name / "page.md").write_text(body, "utf-8")
        for number, subject in enumerate(SUBJECTS):
            text = f"# {subject}\n\nOf {subject.lower()} we keep {number + 2} {name} in the shop window.\n"
            (folder / name / f"{number}.md").write_text(text, "utf-8")
        agents.append(Agent(name, name.title(), about, folder / name))

    async def fill() -> Desk:
        search = EmbeddedSearch(folder / "index")
        for agent in agents:
            await search.index(agent.name, read_documents(agent.name, agent.knowledge_base))
        return Desk(search, agents)

    (folder / "index").mkdir()
    return asyncio.run(fill())


class Chat:
    """Questions asked of a desk one after the other, with its own answers between them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._said: list[str] = []
        self.written = Noted()

    async def ask(self, question: str, chosen: Sequence[str] = ()) -> Draft:
        history, self.written = Told(), Noted()
        history.tell(*self._said)
        catalog = AgentCatalog(tuple(self._desk.agents))
        run = build_workflow(history, self._desk.search, catalog, ExtractiveChatModel(), "m", lambda failure: None)
        asked, answer = Message(98, 1, 9, Role.USER, question, NOW), Message(99, 1, 9, Role.ASSISTANT, "", NOW)
        draft = await run(TurnContext(asked, answer, catalog.all, tuple(chosen), self.written, ANYBODY))
        self._said += [question, draft.text]
        return draft

    @property
    def routes(self) -> list[tuple[str, RouteMethod]]:
        return [(route.agent, route.method) for route in self.written.routes]


@pytest.fixture
def chat(shop: Desk) -> Chat:
    return Chat(shop)


async def test_which_of_two_equal_agents_is_meant_is_asked(chat: Chat) -> None:
    draft = await chat.ask(QUESTION)
    assert draft.text == ASKED_BACK
    assert not draft.sources
    assert chat.routes == [("phones", RouteMethod.CLARIFICATION), ("laptops", RouteMethod.CLARIFICATION)]
    [phones, laptops] = chat.written.routes
    assert phones.runner_up is not None
    assert phones.runner_up.agent == "laptops"
    assert phones.reason == "The question fits Phones about as well as Laptops. You are asked which of them is meant."
    assert phones.confidence == pytest.approx(laptops.confidence, abs=0.1)


@pytest.mark.parametrize(
    ("reply", "agent"),
    [
        ("the second", "laptops"),
        ("The first one, please.", "phones"),
        ("2", "laptops"),
        ("laptops", "laptops"),
        ("I mean the phones one", "phones"),
        ("Oh, the portable computers!", "laptops"),
    ],
)
async def test_a_reply_that_names_one_settles_it(chat: Chat, reply: str, agent: str) -> None:
    await chat.ask(QUESTION)
    draft = await chat.ask(reply)
    assert chat.routes == [(agent, RouteMethod.REPLY)]
    assert chat.written.standalone == QUESTION
    assert {source.agent for source in draft.sources} == {agent}
    assert ("two years" if agent == "phones" else "three years") in draft.text


@pytest.mark.parametrize("reply", ["both", "I don't know", "whichever"])
async def test_a_reply_that_leaves_it_open_is_answered_by_both(chat: Chat, reply: str) -> None:
    await chat.ask(QUESTION)
    draft = await chat.ask(reply)
    assert {source.agent for source in draft.sources} == {"phones", "laptops"}
    assert chat.written.standalone == QUESTION


@pytest.mark.parametrize("reply", [QUESTION, "the blue thing from yesterday"])
async def test_it_is_not_asked_twice_in_a_row(chat: Chat, reply: str) -> None:
    await chat.ask(QUESTION)
    draft = await chat.ask(reply)
    assert chat.routes == [("phones", RouteMethod.EMBEDDED), ("laptops", RouteMethod.EMBEDDED)]
    assert {source.agent for source in draft.sources} == {"phones", "laptops"}


async def test_a_reply_may_ask_anew_in_full(chat: Chat) -> None:
    await chat.ask(QUESTION)
    draft = await chat.ask("When is a cracked screen replaced?")
    assert chat.routes == [("phones", RouteMethod.EMBEDDED)]
    assert "three days" in draft.text


async def test_what_was_settled_stays_so_for_follow_ups(chat: Chat) -> None:
    await chat.ask(QUESTION)
    await chat.ask("the second")
    await chat.ask("And what does it cover?")
    assert chat.routes == [("laptops", RouteMethod.EMBEDDED)]


async def test_the_conversation_decides_where_it_can(chat: Chat) -> None:
    await chat.ask("When is a cracked screen replaced?")
    draft = await chat.ask(QUESTION)
    assert chat.routes == [("phones", RouteMethod.EMBEDDED)]
    assert "two years" in draft.text


async def test_who_chose_an_agent_is_not_asked(chat: Chat) -> None:
    draft = await chat.ask(QUESTION, ["laptops"])
    assert chat.routes == [("laptops", RouteMethod.CLIENT)]
    assert "three years" in draft.text


async def test_a_client_may_choose_in_reply(chat: Chat) -> None:
    await chat.ask(QUESTION)
    draft = await chat.ask("phones", ["phones"])
    assert chat.routes == [("phones", RouteMethod.CLIENT)]
    assert "two years" in draft.text


async def test_of_several_needs_none_is_asked_back(chat: Chat) -> None:
    await chat.ask("How long does the warranty last, and when is a cracked screen replaced?")
    assert RouteMethod.CLARIFICATION not in {method for _, method in chat.routes}


async def test_thanks_instead_of_a_reply_are_small_talk(chat: Chat) -> None:
    await chat.ask(QUESTION)
    assert (await chat.ask("Thanks")).text.startswith("You're welcome")
    assert chat.routes == []


def test_other_questions_of_the_kind_are_no_clarifications(shop: Desk) -> None:
    said = told(QUESTION, "Do you mean Phones or the moon?")
    assert settled("the second", said, shop.agents)[0] == said
    assert not settled("the second", said, shop.agents)[1].replied


def test_a_reply_adds_what_else_it_says(shop: Desk) -> None:
    _, now = settled("phones with contract", told(QUESTION, ASKED_BACK), shop.agents)
    assert (now.question, now.meant) == (QUESTION, ("phones",))
    _, now = settled("phones from Berlin", told(QUESTION, ASKED_BACK), shop.agents)
    assert (now.question, now.meant) == (f"{QUESTION} (phones from Berlin)", ("phones",))


def test_a_topic_is_told_only_where_the_title_leaves_it_open(tmp_path: Path) -> None:
    one = Agent("a", "Prices", "Prices.", tmp_path)
    other = Agent("b", "Help", f"Using {'the product ' * 20}", tmp_path)
    text = clarification(one, other).text
    assert text.startswith("Do you mean Prices or Help (Using the product")
    assert len(text) < 110


def test_a_conversation_without_one_is_left_as_it_is(shop: Desk) -> None:
    said = told("a?", "b.")
    assert settled("c?", said, shop.agents)[0] is said
    assert settled("c?", Conversation(), shop.agents)[1].question == "c?"


# ---------------------------------------------------------------- where a model decides


UNSURE = [("library", 0.5)]
WHICH = "Do you mean Library (The town library) or Garden (Growing vegetables)?"


async def test_a_model_may_have_the_user_asked(deciding: Deciding) -> None:
    draft = await deciding.ask("How long does it take?", routes(*UNSURE, alternative="garden"))
    assert draft.text == WHICH
    assert deciding.routes == [("library", RouteMethod.CLARIFICATION), ("garden", RouteMethod.CLARIFICATION)]


@pytest.mark.parametrize(
    ("named", "alternative"),
    [
        ([("library", 0.9)], "garden"),
        (UNSURE, None),
        (UNSURE, "library"),
        (UNSURE, "cellar"),
    ],
    ids=["it is sure", "there is none", "it is the same", "nobody is called that"],
)
async def test_a_model_has_nobody_asked_without_need(
    deciding: Deciding, named: list[tuple[str, float]], alternative: str | None
) -> None:
    await deciding.ask("When is the library open?", routes(*named, alternative=alternative))
    assert deciding.routes == [("library", RouteMethod.MODEL)]


async def test_a_reply_is_settled_without_the_model(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    deciding.history.tell("When is the library open?", WHICH)
    await deciding.ask("the first")
    assert deciding.routes == [("library", RouteMethod.REPLY)]
    assert deciding.sources == {"library"}
    assert upstream.requests == []


async def test_a_model_has_the_user_asked_once(deciding: Deciding) -> None:
    deciding.history.tell("When is it open, and for how long?", WHICH)
    await deciding.ask("the one that I told you of yesterday evening", routes(*UNSURE, alternative="garden"))
    assert deciding.routes == [("library", RouteMethod.MODEL), ("garden", RouteMethod.MODEL)]
