"""Follow-ups take what they lack from the conversation; what stands alone is left word for word."""

from typing import Any

import pytest

from domain.agents.mentions import mentions
from domain.agents.notes import NO_NOTES
from domain.agents.rewriting import Rewriter
from domain.agents.state import Conversation, Line
from domain.knowledge import ANYBODY
from domain.model import Role
from tests.domain.agents.small_desks import Desk, told

NANO = "What is the nano pricing plan?"
NANO_TOLD = "The Nano plan costs $9 a month or $90 a year. [1]"


async def test_the_first_question_is_left_alone(small_desk: Any) -> None:
    assert await small_desk.rewrite("And what does it cost?") == "And what does it cost?"


@pytest.mark.parametrize(
    "question",
    [
        "How do I reset my password?",
        "Where is the library in Oslo, and when does it open?",
        "If a return is rejected, can I send it again?",
        "Is it possible to borrow a book for longer?",
        "What time is it in Sydney?",
        "Who was Marie Curie?",
    ],
)
async def test_what_stands_alone_is_left_word_for_word(small_desk: Any, question: str) -> None:
    assert await small_desk.rewrite(question, NANO, NANO_TOLD) == question


@pytest.mark.parametrize(
    ("question", "whole"),
    [
        ("And how many returns does it include?", "And how many returns does the nano pricing plan include?"),
        ("What does a return cost on that plan?", "What does a return cost on the nano pricing plan?"),
        ("What are its limits?", "What are the nano pricing plan's limits?"),
        ("How many users?", "How many users? (nano pricing plan)"),
    ],
)
async def test_a_pronoun_or_a_fragment_is_filled(sample_desk: Any, question: str, whole: str) -> None:
    assert await sample_desk.rewrite(question, NANO, NANO_TOLD) == whole


async def test_that_plan_is_found_two_questions_back(sample_desk: Any) -> None:
    whole = await sample_desk.rewrite(
        "Which endpoint creates a return, and what does it cost on that plan?",
        NANO,
        NANO_TOLD,
        "How do I reset my password?",
        "Go to the reset page and select Send reset link. [1]",
    )
    assert whole == "Which endpoint creates a return, and what does it cost on the nano pricing plan?"


async def test_what_about_changes_the_last_question_at_the_word_of_the_same_kind(sample_desk: Any) -> None:
    assert await sample_desk.rewrite("What about micro?", NANO, NANO_TOLD) == "What is the micro pricing plan?"


async def test_what_about_a_name_changes_the_name(small_desk: Any) -> None:
    whole = await small_desk.rewrite("What about Rome?", "How large is Paris?", "105 square kilometres.")
    assert whole == "How large is Rome?"


async def test_a_person_stays_the_same_person(small_desk: Any) -> None:
    before = ["Who was Marie Curie?", "A physicist in Paris.", "When was she born?", "In 1867, in Warsaw."]
    assert await small_desk.rewrite("Where did she study?", *before) == "Where did Marie Curie study?"


async def test_a_whole_action_is_named_by_its_question(small_desk: Any) -> None:
    whole = await small_desk.rewrite("Can I undo that?", "How do I delete my account?", "Open Settings.")
    assert whole == "Can I undo that? (delete my account)"


NOTED = NO_NOTES.after([Line(Role.USER, "We use the Studio plan."), Line(Role.USER, "How do I sign in?")])


@pytest.mark.parametrize(
    ("question", "before", "whole"),
    [
        ("How many users does my plan have?", (), "How many users does my plan have? (Studio plan)"),
        ("How many users does the Studio plan have?", (), "How many users does the Studio plan have?"),
        ("How do I reset my password?", (), "How do I reset my password?"),
        ("How many users does a plan have?", (), "How many users does a plan have?"),
        (
            "How many users does my plan have?",
            ("What is in the Nano plan?", "One user."),
            "How many users does my plan have?",
        ),
    ],
)
async def test_what_was_said_before_the_window_counts_where_nothing_in_it_does(
    sample_desk: Desk, question: str, before: tuple[str, ...], whole: str
) -> None:
    conversation = Conversation(told(*before).lines, NOTED)
    rewritten = await Rewriter(sample_desk.search).rewrite(question, conversation, sample_desk.agents, ANYBODY)
    assert rewritten == whole


ABOUT_ADA = ["Who runs the support team?", "Ada Novak joined us in Graz in 2019. Novak leads the team."]


@pytest.mark.parametrize(
    ("question", "before", "whole"),
    [
        # An answer names what was asked for: a place is nobody.
        ("What did he do there?", ["Where was he born?", "Graz, Austria."], "What did he do there?"),
        ("When did she start?", ["Where does she work?", "At Hartmann University."], "When did she start?"),
        (
            "When did she start?",
            ["Who pays her?", "Since May, Hartmann University has paid her."],
            "When did she start?",
        ),
        ("When did he start?", ["Is anybody in Graz?", "Yes, one of us."], "When did he start?"),
        ("Where did she study?", ABOUT_ADA, "Where did Ada Novak study?"),
        ("Can he refund me?", ["Who is in charge?", "In Linz, Berger decides on refunds."], "Can Berger refund me?"),
        ("When did he leave?", ["Did Omar Haddad start it?", "Omar did, at first."], "When did Omar Haddad leave?"),
    ],
)
async def test_a_person_is_who_does_something_not_where_it_was(
    small_desk: Desk, question: str, before: list[str], whole: str
) -> None:
    assert await small_desk.rewrite(question, *before) == whole


@pytest.mark.parametrize(
    ("question", "before", "whole"),
    [
        ("Where did she study?", ["What did Ada do?", "Novak worked in Graz."], "Where did Ada Novak study?"),
        ("Where does he live?", ["What did Jonson say?", "Johnson said nothing."], "Where does Johnson live?"),
        # Somebody else, and no person.
        ("When did she leave?", ["Who replaced Ada?", "Novak replaced her."], "When did Ada leave?"),
        ("What does it cost?", ["What does Nano include?", "Micro includes Nano."], "What does Nano cost?"),
    ],
)
async def test_a_name_that_is_said_in_two_parts_is_one(
    small_desk: Desk, question: str, before: list[str], whole: str
) -> None:
    assert await small_desk.rewrite(question, *before) == whole


async def test_a_name_is_known_where_it_opens_a_sentence(small_desk: Desk) -> None:
    before = ["How did the talks go?", "Jensen declined the offer. The board had asked Jensen in May."]
    assert await small_desk.rewrite("When did he leave?", *before) == "When did Jensen leave?"


async def test_the_thing_is_told_whose_it_is(small_desk: Desk) -> None:
    before = ["Where was Alien shown first?", "In Seattle."]
    assert await small_desk.rewrite("Who wrote the music?", *before) == "Who wrote the music? (Alien)"


async def test_who_asks_on_asks_of_the_same_and_not_of_what_they_asked_for(small_desk: Desk) -> None:
    before = ["What is in the Studio plan?", "Five seats.", "Does it include any exports?", "Yes."]
    assert await small_desk.rewrite("What does it cost?", *before) == "What does the Studio plan cost?"


async def test_an_aside_of_an_answer_is_not_what_it_speaks_of(small_desk: Desk) -> None:
    before = ["How do refunds work?", "Refunds go to the card, by Stripe or Klarna."]
    assert await small_desk.rewrite("How long do they last?", *before) == "How long do the refunds last?"


@pytest.mark.parametrize(
    ("question", "whole"),
    [
        ("What else does it support?", "What else does the Studio plan support? (Slack, Jira)"),
        ("Are there any others?", "Are there any others? (Studio plan, Slack, Jira)"),
        ("Can somebody else use my seat?", "Can somebody else use my seat?"),
        ("What does it cost?", "What does the Studio plan cost?"),
        ("Nothing else, thanks!", "Nothing else, thanks!"),
    ],
)
async def test_what_else_is_told_what_was_named_already(small_desk: Desk, question: str, whole: str) -> None:
    before = ["What does the Studio plan connect to?", "You can use it beside Slack and Jira and GitHub."]
    assert await small_desk.rewrite(question, *before) == whole


async def test_a_guess_is_not_remembered_as_something_said(small_desk: Desk) -> None:
    before = ["What does the Studio plan hold?", "Five seats.", "Anything else?", "Exports.", "How many?", "Ten."]
    assert await small_desk.rewrite("What does it cost?", *before) == "What does the Studio plan cost?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("About 50,000 fans came", ["fans"]),
        ("I don't know", []),
        ("What do European roaming fees cover?", ["European roaming fees"]),
        ("However, Berger decides against refunds", ["Berger", "refunds"]),
    ],
)
def test_what_a_line_speaks_of(text: str, found: list[str]) -> None:
    assert [mention.text for mention in mentions(text, 0, Role.ASSISTANT)] == found


def test_a_mention_is_a_setting_or_acts() -> None:
    spoken = mentions("In Linz, Berger was asked in Graz, Vienna and Salzburg.", 0, Role.ASSISTANT)
    assert [it.text for it in spoken if it.acting] == ["Berger"]
    assert [it.text for it in spoken if it.setting] == ["Linz", "Graz", "Vienna", "Salzburg"]
