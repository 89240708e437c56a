"""Limits: how much one operation may ask for, and what is told to whoever asks for more.

They are far above what clients of this schema ask for, and low enough that no document keeps the server busy. They are
judged before the validation, whose work grows faster than the document.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, Node

from graph.errors import GraphQLCode
from graph.outlines import CEILING, Outline
from settings import Settings

MAX_CHARACTERS = 65_536
"""Of one document, and of the variables beside it. The longest message, every character escaped, fits in it."""
MAX_LINES = 2_000
"""Of one document. Each error counts them, to tell where it is."""
MAX_DEFINITIONS = 100
"""Operations and fragments of one document: some checks of the validation look at each of these for each of those."""
MAX_SELECTIONS = 500
"""As they are written in one document. To validate one takes some 25 µs."""
MAX_VALUES = 100
"""In one argument: each error in it prints all of it."""
MAX_VALUE_DEPTH = 20
"""Of lists and objects in each other, which are indented where an error prints them."""
MAX_VARIABLES = 500
"""Declared and read in one document, by fragments once for each operation: the validation compares as many types."""

MAX_GIVEN_VALUES = 1_000
"""In all variables that a request gives. Each that does not fit its type costs some 50 µs."""

Broken = tuple[str, str, int, int]
"""The limit, what it counts, its bound and what was counted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the operation that runs; tokens are those of its whole document. `introspection` also lets errors suggest
    names that the client may have meant."""

    tokens: int = 1_500
    depth: int = 20
    aliases: int = 200
    root_fields: int = 20
    directives: int = 100
    cost: int = 100_000
    introspection: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            settings.graphql_max_tokens,
            settings.graphql_max_depth,
            settings.graphql_max_aliases,
            settings.graphql_max_root_fields,
            settings.graphql_max_directives,
            settings.graphql_max_cost,
            settings.allows_introspection,
        )

    def refusals(self, outline: Outline, index: int, variables: Mapping[str, Any]) -> list[GraphQLError]:
        """Why an operation of a document may not run; nothing when it may."""
        operation = outline.operations[index]
        broken = (*_broken_by_document(outline), *self._broken(outline, index, variables))
        return [_refusal(*each, operation) for each in broken] + (
            [_introspection(operation)] if outline.counts[index].introspection and not self.introspection else []
        )

    def _broken(self, outline: Outline, index: int, variables: Mapping[str, Any]) -> Iterator[Broken]:
        counts = outline.counts[index]
        given, characters = size_of(variables)
        yield from _above(
            ("variableValues", "values in its variables", MAX_GIVEN_VALUES, given),
            ("variableCharacters", "characters in its variables", MAX_CHARACTERS, characters),
            ("depth", "fields one in another", self.depth, counts.depth),
            ("aliases", "aliases", self.aliases, counts.aliases),
            ("rootFields", "root fields", self.root_fields, counts.root_fields),
            ("directives", "directives", self.directives, counts.directives),
            ("cost", "fields in its answer, by estimate", self.cost, outline.cost(index, variables)),
        )


def refusals_of_document(outline: Outline) -> list[GraphQLError]:
    """Why a document is not even validated, whichever of its operations is meant."""
    return [_refusal(*each) for each in _broken_by_document(outline)]


def _broken_by_document(outline: Outline) -> Iterator[Broken]:
    return _above(
        ("definitions", "operations and fragments in its document", MAX_DEFINITIONS, outline.definitions),
        ("selections", "selections in its document", MAX_SELECTIONS, outline.visited),
        ("values", "values in one argument", MAX_VALUES, outline.values),
        ("valueDepth", "lists and objects in each other", MAX_VALUE_DEPTH, outline.value_depth),
        ("variables", "variables declared and read in its document", MAX_VARIABLES, outline.variables),
    )


def _above(*limits: Broken) -> Iterator[Broken]:
    return (each for each in limits if each[3] > each[2])


def too_long(text: str) -> GraphQLError | None:
    """Why a document is not even parsed; None when it is."""
    if len(text) > MAX_CHARACTERS:
        return _refusal("characters", "characters in its document", MAX_CHARACTERS, len(text))
    lines = 1 + text.count("\n") + text.count("\r") - text.count("\r\n")
    return _refusal("lines", "lines in its document", MAX_LINES, lines) if lines > MAX_LINES else None


def size_of(given: Mapping[str, Any]) -> tuple[int, int]:
    """Of variables: how many values they are, with all that their lists and objects hold, and the characters of their
    texts and names. Counting ends above MAX_GIVEN_VALUES."""
    waiting: list[Any] = [given]
    values = characters = 0
    while waiting and values <= MAX_GIVEN_VALUES:
        held = waiting.pop()
        if isinstance(held, str):
            characters += len(held)
        elif isinstance(held, dict | list):
            values += len(held)
            waiting += held.values() if isinstance(held, dict) else held
            characters += sum(map(len, held)) if isinstance(held, dict) else 0
    return values, characters


def _refusal(limit: str, things: str, bound: int, counted: int, node: Node | None = None) -> GraphQLError:
    number = f"{counted:,}" if counted < CEILING else f"{CEILING:,} or more"
    details = {"limit": limit, "bound": bound, "counted": counted}
    message = f"The operation asks for too much: {number} {things}, where {bound:,} are allowed."
    return GraphQLError(message, node, extensions={"code": GraphQLCode.VALIDATION_FAILED, "details": details})


def _introspection(node: Node) -> GraphQLError:
    message = "This server does not tell its schema: `__schema` and `__type` are not allowed."
    return GraphQLError(message, node, extensions={"code": GraphQLCode.VALIDATION_FAILED})
