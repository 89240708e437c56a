"""Syntax: read faster than by graphql-core, and no differently. Each text is read by both."""

import random
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, Source, TokenKind, get_introspection_query, validate
from graphql import parse as parse_slowly
from graphql.language import Lexer
from hypothesis import given
from hypothesis import strategies as st

from graph.syntax import QuickLexer, QuickSource, parse
from tests.graph.judging import RELAY, SCHEMA

ATOMS = (
    '"', '""', '"""', '\\"""', "\\", "\\n", "\\/", "\\x", "\\u0041", "\\u00", "\\uD83D", "\\uDE00", "\\u{", "}", "\\u{41}",
    "\\u{1F600}", "\\u{D800}", "\\u{110000}", "\\u{00000041}", "\\u{000000041}", "\\u{22}", "\\u{5c}", "\\u{}", "\n", "\r",
    "\r\n", " ", "\t", ",", "\ufeff", "#", "# x", "a", "_b9", "0", "1", "-", "1.5", "1e5", "0x", ".", "..", "...", "{", "[",
    "(", "@", "$", "!", "&", "|", "=", ":", "é", "\U0001f600", "\x00", "\x07", "'", "?", "\u2028", "\x7f", "\xa0", "\u0663",
    "\uff41", "\u017f", "  a", "\t  b",
)  # fmt: skip
"""What makes a difference to a lexer."""
ODD = ("\ud83d", "\ude00", "\ud83d\ude00")
"""Surrogates, which no JSON brings."""


def tokens(lexer: type[Lexer], text: str) -> list[Any]:
    """All that a lexer finds, comments too, up to the end or the error."""
    found: list[Any] = []
    reading = lexer(Source(text))
    first = reading.token
    try:
        while reading.token.kind is not TokenKind.EOF:
            reading.advance()
            found.append((reading.line, reading.line_start))
    except GraphQLSyntaxError as error:
        found.append((error.message, error.positions))
    token = first.next
    while token is not None:
        found.append((token.kind, token.start, token.end, token.line, token.column, token.value))
        token = token.next
    return found


def outcome(read: Any, text: str) -> Any:
    try:
        return read(text)
    except GraphQLError as error:
        return error.message, error.positions, error.locations


def of_both(text: str) -> None:
    assert outcome(lambda text: parse(text, 60).to_dict(locations=True), text) == outcome(
        lambda text: parse_slowly(text, max_tokens=60).to_dict(locations=True), text
    )


def test_every_token_is_graphql_cores() -> None:
    rolls = random.Random(7)
    for _ in range(20_000):
        text = "".join(rolls.choice(ATOMS) for _ in range(rolls.randint(1, 9)))
        for around in ("", '"', '"""'):
            assert tokens(QuickLexer, around + text + around) == tokens(Lexer, around + text + around), repr(text)


@given(
    st.lists(st.sampled_from(ATOMS) | st.text(max_size=3), max_size=12).map("".join), st.sampled_from(["", '"', '"""'])
)
def test_so_are_those_of_any_text(text: str, around: str) -> None:
    assert tokens(QuickLexer, around + text + around) == tokens(Lexer, around + text + around)


@given(st.lists(st.sampled_from(ATOMS + ODD), max_size=8).map("".join))
def test_documents_and_errors_are_equal_surrogates_included(text: str) -> None:
    for document in (
        text,
        f"{{ a(b: {text}) }}",
        f'{{ a(b: "{text}") {{ c }} }}',
        f'{{ a(b: """{text}""") }}',
        f"{{ a #{text}\n}}",
    ):
        of_both(document)


@pytest.mark.parametrize(
    "text",
    [
        get_introspection_query(), RELAY, "{ a", "", "{ a } }", "{" * 5_000, "{ a(b: " + "[" * 500, "{ a " * 70, "#\n" * 61 + "{ a }",
        "# a\r# b\r\n\n{ a(b: 1.5e3, c: -0, d: [null, $e]) ...F @g }", '"about" query { a }', "type A { b: Int }", '{ a(b: "\\u{41}\\"") }',
    ],
)  # fmt: skip
def test_documents_of_every_kind_are_equal(text: str) -> None:
    of_both(text)
    whole = outcome(lambda text: parse(text, 9_999).to_dict(locations=True), text)
    assert whole == outcome(lambda text: parse_slowly(text).to_dict(locations=True), text)


def test_places_are_counted_as_graphql_core_counts_them() -> None:
    text = "a\nbc\r\nd\r\r\n\n e"
    for position in range(len(text) + 1):
        if text[position - 1 : position + 1] != "\r\n":
            assert QuickSource(text).get_location(position) == Source(text).get_location(position), position


def test_selection_sets_are_looked_up_without_what_is_below_them() -> None:
    """Equal ones stay apart, as they do by their place; the validation says the same of both."""
    quick, slow = parse(RELAY, 9_999), parse_slowly(RELAY)
    sets = [definition.selection_set for definition in quick.definitions]  # type: ignore[attr-defined]
    assert sets[0] == sets[0]
    assert sets[0] != parse(RELAY, 9_999).definitions[0].selection_set  # type: ignore[attr-defined]
    assert sets[0].kind == slow.definitions[0].selection_set.kind  # type: ignore[attr-defined]
    for text in (
        RELAY,
        RELAY.replace("...Head_session", "...Missing"),
        "{ viewer { id a: id a: username } viewer { b } }",
    ):
        told = [(error.message, error.locations) for error in validate(SCHEMA, parse(text, 9_999))]
        assert told == [(error.message, error.locations) for error in validate(SCHEMA, parse_slowly(text))]
