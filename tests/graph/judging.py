"""Documents as tests make them, judged without a server."""

from dataclasses import replace
from typing import Any

from graphql import GraphQLError, get_introspection_query, parse, specified_rules

from graph.documents import Documents
from graph.limits import Limits
from graph.outlines import CEILING, Outline, outline_of
from graph.schema import create_schema

LIMITS = Limits()
UNPRICED = replace(LIMITS, cost=CEILING)
SCHEMA = create_schema()._schema
ALL_OPTIONS = get_introspection_query(True, True, True, True, True, True)

COSTLY = """query($n: Int!) { sessions(first: $n) { edges { node { messages(first: $n) { edges { node {
  id role text rating createdAt turn { id status usage { promptTokens } } } } } } } } }"""
RELAY = """
query ChatPage($first: Int = 50, $after: String, $details: Boolean = true) {
  viewer { ...Person_user id }
  agents { name title description __typename }
  sessions(first: $first, after: $after) { edges { ...Row_edge cursor __typename }
    pageInfo { endCursor hasNextPage __typename } __typename }
}
fragment Person_user on User { id username email createdAt __typename }
fragment Row_edge on ChatSessionEdge { node { ...Row_session ...Head_session id __typename } }
fragment Row_session on ChatSession { id chatId title createdAt updatedAt activeTurn { ...Turn_turn id } __typename }
fragment Head_session on ChatSession { id title last: messages(last: 5) { edges { ...Message_edge cursor } } }
fragment Message_edge on MessageEdge { node { ...Message_message ...Rating_message id __typename } __typename }
fragment Message_message on Message { id role text createdAt ...Sources_message @include(if: $details)
  turn { ...Turn_turn } }
fragment Rating_message on Message { id rating __typename }
fragment Sources_message on Message { sources { id ordinal agent title url excerpt spans { start end } } }
fragment Turn_turn on Turn { id status routes { confidence reason agent { name title } } usage { promptTokens } }
"""


def outline(text: str) -> Outline:
    return outline_of(SCHEMA, parse(text))


def cost(text: str, **variables: Any) -> int:
    return outline(text).cost(0, variables)


def judge(text: str, name: str | None = None, limits: Limits = LIMITS, **variables: Any) -> list[GraphQLError]:
    documents = Documents(limits)
    return documents.check(create_schema(limits)._schema, text, name, variables, specified_rules)


def nested(depth: int) -> str:
    """Fields one in another: every second level is a list of versions."""
    return "{ node(id: 1) { ... on Message { " + "versions { " * (depth - 2) + "id" + " }" * (depth + 1)


def wide(aliases: int) -> str:
    return "{ viewer { " + " ".join(f"a{number}: id" for number in range(aliases)) + " } }"


def repeated(field: str, number: int) -> str:
    return "{ viewer { " + f"{field} " * number + "} }"


def fragments(number: int) -> str:
    spreads = " ".join(f"...F{n}" for n in range(number))
    return f"{{ viewer {{ {spreads} }} }}" + "".join(f"fragment F{n} on User {{ id }}" for n in range(number))


def reading(variables: int, operations: int) -> str:
    """Operations over a fragment that reads variables."""
    shared = "fragment F on Query { " + "node(id: $a) { id } " * variables + "}"
    return "".join(f"query Q{n}($a: ID!) {{ ...F }} " for n in range(operations)) + shared


def many(operations: int, selections: int) -> str:
    """Operations of so many selections."""
    inner = " ".join(("id", "username", "email", "createdAt", "__typename")[: selections - 1])
    return " ".join(f"query Q{n} {{ viewer {{ {inner} }} }}" for n in range(operations))


def lists(depth: int, start: str = "[", end: str = "]") -> str:
    """A value in so many lists, or objects."""
    return "{ node(id: " + start * depth + "1" + end * depth + ") { id } }"


def listing(variables: int) -> str:
    """An operation that declares one variable and reads it so many times."""
    fields = [f"n{n}: node(id: [{'$a ' * (variables // 10)}]) {{ id }}" for n in range(10)]
    return f"query($a: ID) {{ {' '.join(fields)} n: node(id: [{'$a ' * (variables % 10)}]) {{ id }} }}"
