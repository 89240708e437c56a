"""Citations: markers are whole, numbered by first use, announced before they are shown, and their spans are exact."""

import random
from collections.abc import Sequence

import pytest

from domain.agents.citations import CitationWriter, cited_spans
from domain.agents.prompts import Numbered
from domain.agents.state import Evidence, Need
from domain.knowledge import Chunk, Passage
from domain.model import Route, Source


class Tape:
    """A recorder that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.heard: list[str | tuple[Source, ...]] = []

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        raise AssertionError("not a router")

    def sources_found(self, sources: Sequence[Source]) -> None:
        self.heard.append(tuple(sources))

    def delta(self, text: str) -> None:
        self.heard.append(text)

    @property
    def text(self) -> str:
        return "".join(part for part in self.heard if isinstance(part, str))


def passages(count: int) -> Numbered:
    found = tuple(
        Passage(Chunk(f"doc{n}#a", f"doc{n}", "help", ("Title", f"Part {n}"), f"Fact {n}.", n), 1 / n)
        for n in range(1, count + 1)
    )
    return Numbered([Evidence(Need("q", "help"), found)])


def written(*pieces: str, count: int = 5) -> tuple[Tape, CitationWriter]:
    tape = Tape()
    writer = CitationWriter(passages(count), 42, tape)
    for piece in pieces:
        writer.feed(piece)
    writer.end()
    return tape, writer


def test_sources_are_numbered_by_first_use_and_announced_before_their_marker() -> None:
    tape, writer = written("It is so [4]. ", "And that [2]; again [4].")
    assert tape.text == writer.text == "It is so [1]. And that [2]; again [1]."
    assert [source.document_id for source in writer.sources] == ["doc4", "doc2"]
    announced = 0
    for part in tape.heard:
        if isinstance(part, str):
            shown = [int(digit) for digit in part if digit.isdigit()]
            assert max(shown, default=0) <= announced
        else:
            announced = len(part)
    assert [source.id for source in writer.sources] == ["42-1", "42-2"]


@pytest.mark.parametrize("seed", range(25))
def test_any_cutting_of_the_stream_gives_the_same_text(seed: int) -> None:
    whole = "One [3]. Two [1, 2]. Three [9] four [3][1]. An array [ and a year [2024], a range [a-z] and [1"
    cuts = sorted(random.Random(seed).sample(range(1, len(whole)), 12))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    tape, writer = written(*pieces)
    assert tape.text == "One [1]. Two [2][3]. Three  four [1][2]. An array [ and a year [2024], a range [a-z] and [1"
    assert len(writer.sources) == 3


def test_a_marker_is_held_back_until_it_is_whole() -> None:
    tape = Tape()
    writer = CitationWriter(passages(2), 1, tape)
    writer.feed("Yes [")
    writer.feed("2")
    assert tape.heard == ["Yes "]
    writer.feed("] and")
    assert tape.text == "Yes [1] and"


def test_long_passages_are_excerpted() -> None:
    long = Passage(Chunk("d#a", "d", "help", ("T",), "word " * 400, 0), 1.0)
    tape = Tape()
    writer = CitationWriter(Numbered([Evidence(Need("q", "help"), (long,))]), 1, tape)
    writer.feed("x [1]")
    assert len(writer.sources[0].excerpt) <= 600
    assert writer.sources[0].excerpt.endswith("…")


def test_spans_cover_the_sentences_that_a_source_is_cited_for() -> None:
    text = "Nano costs $9 a month. [1] It includes 3 returns [1][2]. Nothing else.\n- A point. [2]"
    spans = cited_spans(text)
    assert [text[s.start : s.end].split(" [")[0] for s in spans[1]] == [
        "Nano costs $9 a month.",
        "It includes 3 returns",
    ]
    assert any("A point." in text[s.start : s.end] for s in spans[2])
    assert all(text[s.start : s.end].strip() == text[s.start : s.end] for of in spans.values() for s in of)
