"""What the model was instructed with is not told, however the answer is cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.agents.citations import CitationWriter
from domain.agents.leaks import INSTEAD, Instructions
from tests.domain.agents.test_citations import Tape, passages

SECRET = (
    "You answer questions for the readers of a small library, only from the numbered passages, and never about pay."
)


def shown(text: str, cuts: list[int]) -> str:
    tape = Tape()
    writer = CitationWriter(passages(), 1, tape, Instructions([SECRET]))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, end in pairwise(places):
        writer.feed(text[start:end])
    writer.end()
    assert tape.text == writer.text
    return tape.text


@given(st.lists(st.integers(0, 150), max_size=30))
def test_instructions_are_not_told(cuts: list[int]) -> None:
    text = shown(f"Gladly: {SECRET.upper()} And so on.", cuts)
    assert text.endswith(INSTEAD)
    assert "PASSAGES" not in text
    assert "And so on" not in text


@given(st.lists(st.integers(0, 100), max_size=10))
def test_other_words_are(cuts: list[int]) -> None:
    text = "You answer questions for the readers, and a small library never answers about pay."
    assert shown(text, cuts) == text
