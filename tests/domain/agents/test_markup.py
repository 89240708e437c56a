"""Markup: what an answer is made of is the same however it is cut, and nothing of it is lost."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.agents.markup import Code, Link, Markers, MarkupReader, Piece, Plain, Tag

PARTS = st.sampled_from(
    [
        *"[]()!12`<> \n~:,./ahw",
        "``",
        "```",
        "\n\n",
        "img",
        "http://",
        "https",
        "www.",
        "~~~",
        "](",
        "<!--",
        "-->",
        "text ",
    ]
)


def read(*texts: str) -> list[Piece]:
    """The pieces, plain text and code that were cut put together again."""
    reader, found = MarkupReader(), list[Piece]()
    for piece in [piece for text in texts for piece in reader.feed(text)] + list(reader.end()):
        if found and type(piece) in (Plain, Code) and type(found[-1]) is type(piece):
            piece = type(piece)(found.pop().text + piece.text)
        found.append(piece)
    return found


@given(st.lists(PARTS, max_size=30).map("".join), st.lists(st.integers(0, 60), max_size=12))
@example("\n )www.~~~httpsh\n ```1", [5, 6, 9, 10, 12, 15, 16, 17, 18, 20, 21, 22])
def test_any_cutting_gives_the_same_pieces(text: str, cuts: list[int]) -> None:
    whole = read(text)
    assert "".join(piece.text for piece in whole) == text
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert read(*(text[start:end] for start, end in pairwise(places))) == whole


@pytest.mark.parametrize(
    ("text", "kind", "piece"),
    [
        ("so it is [1][2, 3].", Markers, " [1][2, 3]"),
        ("a year [2024] and [1]", Markers, " [1]"),
        ("see [1](http://a.example)", Link, " [1](http://a.example)"),
        ("![alt [x]](a_(b).png)", Link, "![alt [x]](a_(b).png)"),
        ("go to https://a.example/b_(c), now", Link, "https://a.example/b_(c)"),
        ("(www.a.example/x).", Link, "www.a.example/x"),
        ("<mailto:a@b.example>", Link, "<mailto:a@b.example>"),
        ("[ref]: javascript:alert(1)\n", Link, "[ref]: javascript:alert(1)"),
        ("`a[1]`", Code, "`a[1]`"),
        ("`` a ` b ``", Code, "`` a ` b ``"),
        ("```js\na[1]\n```\n", Code, "```js\na[1]\n```\n"),
        ("~~~\na[1]\n~~\n~~~\n", Code, "~~~\na[1]\n~~\n~~~\n"),
        ("a <b onclick=x>c", Tag, "<b onclick=x>"),
        ("a <script>", Tag, "<script>"),
        ("a <!-- b > c --> d", Tag, "<!-- b > c -->"),
    ],
)
def test_what_is_remarkable_is_a_piece_of_its_own(text: str, kind: type[Piece], piece: str) -> None:
    found = [one for one in read(text) if not isinstance(one, Plain)]
    assert [(type(one), one.text) for one in found] == [(kind, piece)]


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "set <TOKEN> and <your key>", "a ` b [x](y", "an [aside] (so)", "e.g. a.b.c", "http://"]
)
def test_what_only_looks_remarkable_is_plain(text: str) -> None:
    assert read(text) == [Plain(text)]


def test_a_backtick_that_ends_nowhere_hides_no_link() -> None:
    assert any(isinstance(piece, Link) for piece in read("a ` and [b](http://c.example)\n\nd ` e"))


def test_plain_text_goes_on_at_once_and_the_rest_is_held_back_up_to_a_bound() -> None:
    reader = MarkupReader()
    assert [piece.text for piece in reader.feed("some words")] == ["some words"]
    assert reader.feed(" [and then") == []
    assert "".join(piece.text for piece in reader.feed(" more" * 100)) != ""
