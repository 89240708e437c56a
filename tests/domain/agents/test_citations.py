"""Citations: markers are whole, hold what they say, are numbered by first use and announced before they are shown."""

import random
from collections.abc import Sequence

import pytest

from domain.agents.citations import CitationWriter
from domain.agents.inert import inert_text
from domain.agents.prompts import Numbered
from domain.agents.state import Evidence, Need
from domain.knowledge import Chunk, Passage
from domain.model import Route, Source

TEXTS = (
    "The desk opens at nine.",
    "A reader may borrow twelve books.",
    "Late books cost $0.20 a day.",
    "The copier stands beside the door.",
    "Coffee is not allowed in the reading room.",
)


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


def passages(texts: Sequence[str] = TEXTS) -> Numbered:
    found = tuple(
        Passage(
            Chunk(f"doc{n}#a", f"doc{n}", "help", ("Library", f"Part {n}"), text, n, "https://lib.example/a"), 1 / n
        )
        for n, text in enumerate(texts, 1)
    )
    return Numbered([Evidence(Need("q", "help"), found)])


def written(*pieces: str, texts: Sequence[str] = TEXTS) -> tuple[Tape, CitationWriter]:
    tape = Tape()
    writer = CitationWriter(passages(texts), 42, tape)
    for piece in pieces:
        writer.feed(piece)
    writer.end()
    return tape, writer


def test_sources_are_numbered_by_first_use_and_announced_before_their_marker() -> None:
    tape, writer = written(
        "The copier is at the door [4]. ", "Readers borrow 12 books [2]; by the door, the copier [4]."
    )
    assert (
        tape.text
        == writer.text
        == "The copier is at the door [1]. Readers borrow 12 books [2]; by the door, the copier [1]."
    )
    assert [source.document_id for source in writer.sources] == ["doc4", "doc2"]
    announced = 0
    for part in tape.heard:
        if isinstance(part, str):
            assert max((n for n in (1, 2) if f"[{n}]" in part), default=0) <= announced
        else:
            announced = len(part)
    assert [source.id for source in writer.sources] == ["42-1", "42-2"]
    assert {ordinal: passage.chunk.document_id for ordinal, passage in writer.cited.items()} == {1: "doc4", 2: "doc2"}


@pytest.mark.parametrize("seed", range(25))
def test_any_cutting_of_the_stream_gives_the_same_text(seed: int) -> None:
    whole = (
        "Late books cost $0.20 [3]. Twelve books [1, 2]. Coffee is not allowed [9] in the copier [5][4]. An array [ and a "
        "year [2024], a range [a-z], `code[1]` and ![x](http://a.example) [1"
    )
    cuts = sorted(random.Random(seed).sample(range(1, len(whole)), 12))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    tape, writer = written(*pieces)
    assert tape.text == (
        "Late books cost $0.20 [1]. Twelve books [2]. Coffee is not allowed [3] in the copier [4]. An array [ and a "
        "year [2024], a range [a-z], `code[1]` and x [1"
    )
    assert len(writer.sources) == 4


def test_a_marker_is_held_back_until_it_is_whole() -> None:
    tape = Tape()
    writer = CitationWriter(passages(), 1, tape)
    writer.feed("Twelve books [")
    writer.feed("2")
    assert tape.heard == ["Twelve books"]
    writer.feed("] and")
    assert tape.text == "Twelve books [1] and"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Readers borrow twelve books [2].", "Readers borrow twelve books [1]."),
        ("Readers borrow twelve books [9].", "Readers borrow twelve books [1]."),
        ("Readers borrow twelve books [3].", "Readers borrow twelve books [1]."),
        ("Readers borrow twelve books. [3]", "Readers borrow twelve books. [1]"),
        ("Readers borrow twelve books [3][2].", "Readers borrow twelve books [1]."),
        ("Readers borrow 20 books [2].", "Readers borrow 20 books."),
        ("Coffee is allowed in the reading room [5].", "Coffee is allowed in the reading room."),
        ("Dogs sleep on sofas [1][4].", "Dogs sleep on sofas."),
        (
            "Dogs sleep on sofas.\n[1]\nThe desk opens at nine [1].",
            "Dogs sleep on sofas.\n[1]\nThe desk opens at nine [1].",
        ),
        (
            "The desk opens at nine and late books cost $0.20 a day [1][3].",
            "The desk opens at nine and late books cost $0.20 a day [1][2].",
        ),
    ],
    ids=[
        "kept",
        "no such passage",
        "another passage",
        "behind the full stop",
        "one of two",
        "another figure",
        "the opposite",
        "nothing",
        "a line of its own",
        "two together",
    ],
)
def test_a_marker_is_kept_moved_or_left_out_by_what_the_passages_say(said: str, shown: str) -> None:
    tape, writer = written(said)
    assert tape.text == shown
    assert ("[1]" in shown) == bool(writer.sources)


def test_what_claims_nothing_keeps_its_marker() -> None:
    tape, _ = written("Yes, it is [1].")
    assert tape.text == "Yes, it is [1]."


def test_code_is_left_as_it_is() -> None:
    code = "```js\nbooks[1] = handlers[2](x) // http://a.example\n```\n"
    tape, writer = written("Take `books[3]`.\n", *code, "Readers borrow twelve books [2].")
    assert tape.text == "Take `books[3]`.\n" + code + "Readers borrow twelve books [1]."
    assert [source.document_id for source in writer.sources] == ["doc2"]


def test_a_marker_between_quotation_marks_of_tex_is_checked_like_any_other() -> None:
    tape, writer = written("A reader may borrow `` twelve '' books . [7] The copier stands `` beside '' the door . [4]")
    assert tape.text == "A reader may borrow `` twelve '' books . [1] The copier stands `` beside '' the door . [2]"
    assert [source.document_id for source in writer.sources] == ["doc2", "doc4"]


def test_only_links_to_the_documents_own_hosts_stay_active() -> None:
    tape, _ = written(
        "See [the page](https://lib.example/b) or [this](http://evil.example/?q=1), ![](http://evil.example/i.png)"
        "<img src=x onerror=y> and http://evil.example. Set <TOKEN>."
    )
    assert tape.text == (
        "See [the page](https://lib.example/b) or this (`http://evil.example/?q=1`), `http://evil.example/i.png`"
        " and `http://evil.example`. Set <TOKEN>."
    )


def test_an_excerpt_shows_what_is_cited() -> None:
    long = "Filler stands here. " * 60 + "The lift is out of order on Mondays. " + "More filler follows. " * 60
    _, writer = written("On Mondays the lift is out of order [1].", texts=[long])
    [source] = writer.sources
    assert "The lift is out of order on Mondays." in source.excerpt
    assert len(source.excerpt) <= 600
    assert (source.excerpt[0], source.excerpt[-1]) == ("…", "…")


def test_an_excerpt_is_cut_between_links_and_images() -> None:
    link = f"[the page that tells more of the lift](https://lib.example/{'lift' * 20})"
    long = (
        f"Not on Mondays. The lift is out of order on Mondays, {'says the desk, ' * 35} and {link} has more. Filler. "
    )
    _, writer = written("On Mondays the lift is out of order [1].", texts=[long])
    [source] = writer.sources
    assert "the page that" in source.excerpt
    assert source.excerpt.strip("… ") in inert_text(long)
