"""Notes: what of a message is worth keeping, what is kept when there is no room, and that it may be folded in any parts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.facts import ASIDE, LONGEST, OF_THEMSELVES, STATED, facts
from domain.agents.notes import (
    ANSWERED,
    ASKED,
    EXCHANGES,
    FACT_CHARACTERS,
    FACTS,
    NO_NOTES,
    VERSION,
    Exchange,
    Fact,
    Notes,
)
from domain.agents.state import Line
from domain.agents.summaries import Summary
from domain.model import Role
from domain.records import StoredSummary

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def asked(*texts: str) -> list[Line]:
    return [Line(Role.USER, text, NOON) for text in texts]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My name is Ada. How do I sign in?", [("My name is Ada.", STATED)]),
        ("We are a team of 12.", [("We are a team of 12.", STATED)]),
        ("I use the Studio plan, how many users can I add?", [("I use the Studio plan", STATED)]),
        ("Our fiscal year ends in June", [("Our fiscal year ends in June", STATED)]),
        ("There are 12 of us in Oslo", [("There are 12 of us in Oslo", STATED)]),
        ("Please remember that we bill in euros.", [("Please remember that we bill in euros.", STATED)]),
        ("Since we're a school, is there a discount?", [("Since we're a school", STATED)]),
        ("I asked for a refund.", [("I asked for a refund.", OF_THEMSELVES)]),
        ("I have watered the beds.", [("I have watered the beds.", OF_THEMSELVES)]),
        ("The launch is on 3 March.", [("The launch is on 3 March.", ASIDE)]),
        ("Ich heiße Ada und wir sind 12.", [("Ich heiße Ada und wir sind 12.", ASIDE)]),
    ],
)
def test_statements_are_kept_word_for_word(text: str, found: list[tuple[str, int]]) -> None:
    assert list(facts(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "How do I sign in?",
        "what is my plan",
        "Can I, as an owner, invite others?",
        "Tell me about my plan.",
        "I have another question",
        "I would like to know more.",
        "I don't understand.",
        "If I cancel, I lose 12 days.",
        "Thanks, that helps!",
        "it is slow",
        "12",
        "",
    ],
)
def test_questions_requests_and_suppositions_state_nothing(text: str) -> None:
    assert facts(text) == ()


def test_a_long_statement_keeps_its_beginning() -> None:
    [(text, _)] = facts("We are a team of " + "very " * 100 + "busy people")
    assert len(text) == LONGEST
    assert text.startswith("We are a team of very very")


def test_what_was_asked_and_answered_is_noted_shortly() -> None:
    lines = [Line(Role.USER, "How?\n" + "x " * 200), Line(Role.ASSISTANT, "So. And more.")]
    [exchange] = NO_NOTES.after(lines).exchanges
    assert exchange.asked.startswith("How? x x")
    assert len(exchange.asked) <= ASKED
    assert exchange.answered == "So."
    many = NO_NOTES.after([Line(Role.USER, f"Question {n}?") for n in range(50)])
    assert [it.asked for it in many.exchanges] == [f"Question {n}?" for n in range(50 - EXCHANGES, 50)]


def test_what_users_state_of_themselves_is_kept_longest() -> None:
    said = ["My name is Ada.", *(f"Server {n} answers on port {n}." for n in range(200))]
    said += [f"I tried {n} doors of number {n}." for n in range(200)]
    notes = NO_NOTES.after(asked(*said))
    assert len(notes.facts) <= FACTS
    assert notes.facts[0].text == "My name is Ada."
    assert {fact.weight for fact in notes.facts[1:]} == {OF_THEMSELVES}
    assert notes.facts[-1].text == "I tried 199 doors of number 199."


def test_what_is_said_again_in_other_numbers_makes_room_first() -> None:
    said = ["We are a team of 12.", *(f"We have {n} new plants in row {n}." for n in range(200)), "I live in Oslo."]
    notes = NO_NOTES.after(asked(*said))
    assert notes.facts[0].text == "We are a team of 12."
    assert notes.facts[-2].text == "We have 199 new plants in row 199."


def test_what_is_said_twice_counts_from_the_last_time() -> None:
    later = NOON.replace(hour=13)
    notes = NO_NOTES.after([*asked("I live in Oslo.", "My name is Ada."), Line(Role.USER, "I live in OSLO", later)])
    assert notes.facts == (Fact("My name is Ada.", STATED, NOON), Fact("I live in OSLO", STATED, later))


LINES = st.lists(
    st.builds(
        Line,
        st.sampled_from(Role),
        st.one_of(
            st.text(max_size=40),
            st.integers(0, 40).map("We have {} seats.".format),
            st.integers(0, 40).map("I tried door {0} of {0}.".format),
        ),
        st.just(NOON),
    ),
    max_size=120,
)


@given(LINES, st.integers(0, 120))
def test_it_does_not_matter_in_which_parts_notes_are_taken(lines: list[Line], cut: int) -> None:
    whole = NO_NOTES.after(lines)
    stored = StoredSummary(1, VERSION, NO_NOTES.after(lines[:cut]).written())
    assert Summary.of(stored).notes.after(lines[cut:]) == whole
    assert len(whole.facts) <= FACTS
    assert sum(len(fact.text) for fact in whole.facts) <= FACT_CHARACTERS
    assert all(len(it.asked) <= ASKED and len(it.answered) <= ANSWERED for it in whole.exchanges)


@pytest.mark.parametrize("notes", [{}, {"facts": 3}, {"facts": [["one"]], "exchanges": []}, {"facts": [["a", "b", 1]]}])
def test_what_cannot_be_read_counts_for_nothing(notes: dict[str, object]) -> None:
    assert Summary.of(StoredSummary(1, VERSION, notes)) == Summary()


def test_another_releases_notes_count_for_nothing() -> None:
    notes = Notes((Fact("My name is Ada.", STATED, NOON),), (Exchange("How?", "So."),))
    assert Summary.of(StoredSummary(1, VERSION, notes.written())) == Summary(1, notes)
    assert Summary.of(StoredSummary(1, VERSION + 1, notes.written())) == Summary()
