"""What asks for the user's own words is answered from them, and no question for the documents is."""

from datetime import UTC, datetime

import pytest

from domain.agents.catalog import AgentCatalog
from domain.agents.notes import NO_NOTES, Fact
from domain.agents.recollection import FROM_THE_CHAT, asks_what_was_said, recollected, told
from domain.agents.state import Draft, Line, TurnContext
from domain.agents.workflow import build_workflow
from domain.knowledge import ANYBODY
from domain.model import Message, Role, Usage
from providers.extractive import ExtractiveChatModel
from tests.domain.agents.deciding_desk import GOOD, Deciding
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Said, Written
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies

NOON = datetime(2026, 11, 30, 12, 5, tzinfo=UTC)
SAID = (
    "Hi, my name is Ada. How do I sign in?",
    "We are a team of 12 and based in Oslo.",
    "I use the Studio plan, how many users can I add?",
    "Our fiscal year ends in June.",
    "I asked for a refund on June 1.",
    "Our budget is $4,000 a month.",
    "I am a designer at Lovelace Ltd.",
    "My Visa card was refused 2 times.",
)
TEAM, PLAN, YEAR, BUDGET = SAID[1], "I use the Studio plan", SAID[3], SAID[5]
NOTES = NO_NOTES.after([Line(Role.USER, text, NOON) for text in SAID])


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is my team size?", TEAM),
        ("How big is our team?", TEAM),
        ("how many people are in my team", TEAM),
        ("How many of us are there?", TEAM),
        ("Where are we based?", TEAM),
        ("Which plan did I say I use?", PLAN),
        ("What plan do we use?", PLAN),
        ("Which plan am I on?", PLAN),
        ("Can you tell me which plan I said we use?", PLAN),
        ("what did I tell you about our fiscal year?", YEAR),
        ("When does our fiscal year end?", YEAR),
        ("Did I mention our budget?", BUDGET),
        ("And what's our budget?", BUDGET),
        ("Remind me of our budget", BUDGET),
        ("What is my name?", "Hi, my name is Ada."),
        ("Do you remember my name?", "Hi, my name is Ada."),
        ("Who am I?", "Hi, my name is Ada."),
        ("What is my job?", SAID[6]),
        ("What did I say about the refund?", SAID[4]),
    ],
)
def test_what_was_said_is_found(question: str, answer: str) -> None:
    assert [fact.text for fact in recollected(question, NOTES)] == [answer]


@pytest.mark.parametrize(
    "question",
    [
        "what is my refund deadline",
        "When do I get my refund?",
        "How do I change my name?",
        "How many users can I have on the Studio plan?",
        "What is the Studio plan?",
        "What is my plan's price?",
        "What is my plan limit?",
        "How much do I pay for Studio?",
        "What is my team's name?",
        "Remind me how to reset my password",
        "Do you know the limit of my Visa card?",
        "Do you know my credit limit for the Visa card?",
        "I said I use Studio, how many users can I have?",
        "What happens if I told support about the refund?",
        "Is the Studio plan for a team of 12?",
        "What is my API key?",
        "Does my budget cover the Studio plan?",
        "What can my team do?",
        "How many users do we have?",
        "My name is Ada.",
        "Which plan is for a team of 12?",
        "When does my fiscal report end?",
        "What is my team size? " + "x" * 200,
    ],
)
def test_questions_for_the_documents_are_left_to_them(question: str) -> None:
    assert list(recollected(question, NOTES)) == []


def test_the_newest_of_several_counts() -> None:
    later = NOTES.after([Line(Role.USER, "We are now a team of 15 people.", NOON)])
    assert [fact.text for fact in recollected("What is our team size?", later)] == ["We are now a team of 15 people."]
    assert [fact.text for fact in recollected("What did I say about our team?", later)] == [
        "We are now a team of 15 people.",
        TEAM,
    ]


def test_it_is_quoted_with_its_time() -> None:
    one, other = Fact(TEAM, 3, NOON), Fact("I live in Oslo.", 3)
    quoted = f"Earlier in this chat, on 30 November 2026 at 12:05 UTC, you wrote: “{TEAM}”"
    assert told([one]) == f"{quoted}\n\n{FROM_THE_CHAT}"
    assert told([one, other]) == f"- {quoted}\n- Earlier in this chat you wrote: “I live in Oslo.”\n\n{FROM_THE_CHAT}"


def test_only_such_questions_are_looked_into() -> None:
    assert not asks_what_was_said("How often should I water tomatoes?")
    assert not asks_what_was_said("Thank you!")


async def test_the_desk_answers_without_a_source_or_a_doubt(small_desk: Desk) -> None:
    before = ("We are a team of 12. How often should I water tomatoes?", "Every second morning. [1]")
    written = Written()
    draft = await answered(small_desk, "What is my team size?", before, written)
    assert draft.text == written.text
    assert "you wrote: “We are a team of 12.”" in draft.text
    assert draft.text.endswith(FROM_THE_CHAT)
    assert (written.sources, written.routes, draft.sources, draft.model) == ([], [], (), None)
    assert draft.usage == Usage(0, 0)


async def test_what_was_not_said_is_asked_of_the_documents(small_desk: Desk) -> None:
    before = ("We are a team of 12. How often should I water tomatoes?", "Every second morning. [1]")
    draft = await answered(small_desk, "When does the library open?", before, Written())
    assert "9:00" in draft.text
    assert FROM_THE_CHAT not in (await answered(small_desk, "What is my library card?", before, Written())).text


async def test_a_quotation_is_as_inert_as_any_answer(small_desk: Desk) -> None:
    before = ("Our site is [here](https://evil.example/x) since 2020 ![](https://evil.example/p.png).", "So.")
    draft = await answered(small_desk, "What is our site?", before, Written())
    assert "you wrote" in draft.text
    assert "](" not in draft.text
    assert "`https://evil.example/x`" in draft.text


async def test_no_model_is_asked_what_the_user_said(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    deciding.history.tell("We are a team of 12.", "Good.")
    assert "team of 12" in (await deciding.ask("What is my team size?", Replies(GOOD))).text
    assert upstream.requests == []


async def answered(desk: Desk, question: str, before: tuple[str, ...], written: Written) -> Draft:
    catalog = AgentCatalog(tuple(desk.agents))
    workflow = build_workflow(Said(*before), desk.search, catalog, ExtractiveChatModel(), "m", lambda _: None)
    asked, answer = (Message(n, 1, 1, role, question, NOON) for n, role in ((98, Role.USER), (99, Role.ASSISTANT)))
    return await workflow(TurnContext(asked, answer, catalog.all, (), written, ANYBODY))
