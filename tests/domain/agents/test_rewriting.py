"""Follow-ups take what they lack from the conversation; what stands alone is left word for word."""

from typing import Any

import pytest

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
