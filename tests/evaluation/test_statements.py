"""Answers taken apart, and whether passages support what they say."""

import pytest

from domain.agents.grounding import grounding
from domain.knowledge import Chunk, Passage
from evaluation.statements import is_the_desks_own, pieces_of, statements
from evaluation.support import supports


def test_sentences_know_their_sources() -> None:
    answer = "Nano costs $9 a month. [1] It has one user [2][3]. Ask us."
    found = statements(answer)
    assert [(it.text, it.ordinals) for it in found] == [
        ("Nano costs $9 a month.", (1,)),
        ("It has one user.", (2, 3)),
        ("Ask us.", ()),
    ]
    assert [answer[it.span.start : it.span.end] for it in found[::2]] == ["Nano costs $9 a month.", "Ask us."]


@pytest.mark.parametrize(
    "answer",
    [
        "Nano costs $9 a month. [1] Studio has six users. [2]",
        "1. Open Settings. [1]\n2. Select Save. [1]\n\nThe link works for 30 minutes. [2]",
        "Prices: [1] see the plan [2] and ask.",
    ],
)
def test_they_agree_with_the_spans_that_the_product_stores(answer: str) -> None:
    sources = {n: Passage(Chunk(f"d#{n}", "d", "a", ("T",), "", n), 1.0) for n in (1, 2)}
    stored = {(citation.answer, citation.ordinal) for citation in grounding(answer, sources).citations}
    assert {(it.span, ordinal) for it in statements(answer) for ordinal in it.ordinals} == stored


def test_what_is_no_sentence_is_left_out() -> None:
    assert statements("") == []
    assert [it.text for it in statements("…\n\n1.\n\nYes.")] == ["Yes."]


def test_pieces_stand_between_markers() -> None:
    assert pieces_of("one [1] two [2][3] three\n\nfour") == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("The documents that I answer from do not say.", True),
        ("The passages do not hold the answer.", True),
        ("I can't help with that.", True),
        ("Note: this could not be checked against the documents.", True),
        ("Nano costs $9 a month.", False),
        ("You cannot cancel after 30 days [1].", False),
    ],
)
def test_refusals_say_nothing_of_the_matter(text: str, own: bool) -> None:
    assert is_the_desks_own(statements(text)[0], ("The documents that I answer from do not say.",)) is own


@pytest.mark.parametrize(
    ("sentence", "support"),
    [
        ("The nano plan costs $9 a month.", 1.0),
        ("the  NANO plan costs $9\na month", 1.0),
        ("Each month of nano costs $9.", 1.0),
        ("The nano plan costs $19 a month.", 0.0),
        ("The nano plan costs $9 a decade.", 5 / 6),
        ("Turtles swim.", 0.0),
        ("It is so.", 0.0),
    ],
)
def test_support_by_hand(sentence: str, support: float) -> None:
    assert supports(sentence, "Plans\nThe nano plan costs $9 a month.") == pytest.approx(support)
