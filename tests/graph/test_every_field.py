"""Every field of every type answers, for who has done nothing yet and for who has done everything."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_required_argument,
)

from domain.chunking import MARKDOWN
from domain.knowledge import Document
from graph.schema import schema_text
from tests.graph.busy import fill
from tests.graph.desk import PASSWORD, Desk, global_id
from tests.graph.test_versions import streamed

DEPTH = 4
"""Levels of fields in a generated operation."""
UNASKED = ("Query", "Mutation", "Subscription")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(schema_text())


def selection(schema: GraphQLSchema, kind: GraphQLNamedType, depth: int) -> str:
    """All fields of a type that fit into so many levels, with their type's name; "" for a leaf."""
    if isinstance(kind, GraphQLInterfaceType):
        spreads = (f"... on {it.name} {selection(schema, it, depth)}" for it in schema.get_possible_types(kind))
        return f"{{ __typename {' '.join(spreads)} }}"
    if not isinstance(kind, GraphQLObjectType):
        return ""
    fields = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        is_leaf = not isinstance(inner, GraphQLObjectType | GraphQLInterfaceType)
        if is_leaf or depth > 1:
            fields.append(f"{name} {selection(schema, inner, depth - 1)}")
    return f"{{ {' '.join(fields)} }}"


def operation(
    schema: GraphQLSchema, kind: str, name: str, field: GraphQLField, given: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The document and the variables that ask one root field for everything. Each required argument is `given`."""
    taken = {argument: it for argument, it in field.args.items() if is_required_argument(it) or argument in given}
    declared = ", ".join(f"${argument}: {it.type}" for argument, it in taken.items())
    passed = ", ".join(f"{argument}: ${argument}" for argument in taken)
    document = f"{kind}{f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''} "
    variables = {argument: given[argument] for argument in taken}
    return f"{document}{selection(schema, get_named_type(field.type), DEPTH)} }}", variables


def fields_in(data: Any) -> Iterator[tuple[str, str]]:
    """The type and the name of every field that was answered."""
    if isinstance(data, dict):
        yield from ((data["__typename"], name) for name in data if "__typename" in data and name != "__typename")
        for member in data.values():
            yield from fields_in(member)
    elif isinstance(data, list):
        for member in data:
            yield from fields_in(member)


async def asked(desk: Desk, schema: GraphQLSchema, token: str, given: dict[str, Any]) -> set[tuple[str, str]]:
    """Every field of Query, with what it answered."""
    assert schema.query_type is not None
    answered: set[tuple[str, str]] = set()
    for name, field in schema.query_type.fields.items():
        answer = await desk.ask(*operation(schema, "query", name, field, given), token)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= {"NOT_FOUND"}, (name, answer["errors"])
        answered |= set(fields_in(answer["data"]))
    return answered


async def test_a_viewer_who_has_done_nothing_yet_is_answered(desk: Desk, schema: GraphQLSchema, token: str) -> None:
    for kind in ("ChatSession", "Message", "Turn", "User"):
        ids = {name: global_id(kind, 1) for name in ("id", "sessionId", "messageId", "turnId")}
        ids |= {"agent": "gone", "documentId": "gone"}
        answered = await asked(desk, schema, token, ids)
        assert {("User", "email"), ("Agent", "title"), ("PageInfo", "endCursor")} <= answered


async def test_every_field_of_every_type_answers_a_busy_viewer(desk: Desk, schema: GraphQLSchema, token: str) -> None:
    await fill(desk, token, 4)
    await desk.retriever.index("pricing", [Document("plans", "pricing", "Plans", "Nano costs $9.", MARKDOWN, "1")])
    answered: set[tuple[str, str]] = set()
    for kind, key in (("User", 1), ("ChatSession", 1), ("Message", 2), ("Turn", 1), ("Source", "2-1")):
        given = {
            "id": global_id(kind, key),
            "sessionId": global_id("ChatSession", 1),
            "messageId": global_id("Message", 2),
            "agent": "pricing",
            "documentId": "plans",
        }
        answered |= await asked(desk, schema, token, given)
    answered |= await streams(desk, schema, token)
    answered |= await mutations(desk, schema, token)
    every = {
        (kind.name, name)
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and kind.name not in UNASKED
        for name in kind.fields
    }
    assert every - answered == set()


async def streams(desk: Desk, schema: GraphQLSchema, token: str) -> set[tuple[str, str]]:
    """Every field of Subscription: a new turn, and two that ended, one with an answer and one without."""
    assert schema.subscription_type is not None
    chat = await desk.new_chat(token)
    inputs = [{"input": {"sessionId": chat, "text": "What does Nano cost?"}}]
    turns = [{"turnId": global_id("Turn", key)} for key in (1, 6, 12)]
    answered: set[tuple[str, str]] = set()
    for name, field in schema.subscription_type.fields.items():
        for given in inputs if "input" in field.args else turns:
            document, variables = operation(schema, "subscription", name, field, given)
            for result in await streamed(desk, document, variables, token):
                assert "errors" not in result, (name, result)
                answered |= set(fields_in(result["data"]))
    return answered


async def mutations(desk: Desk, schema: GraphQLSchema, token: str) -> set[tuple[str, str]]:
    """Every field of Mutation, in an order in which each can succeed."""
    assert schema.mutation_type is not None
    person = {"username": "grace", "email": "grace@example.test", "password": PASSWORD}
    mine: dict[str, dict[str, Any]] = {
        "newChat": {},
        "renameChat": {"sessionId": global_id("ChatSession", 2), "title": "Renamed"},
        "rateMessage": {"messageId": global_id("Message", 2), "rating": "UP"},
        "regenerate": {"messageId": global_id("Message", 7)},
        "stopTurn": {"turnId": global_id("Turn", 1)},
        "deleteChat": {"sessionId": global_id("ChatSession", 4)},
        "register": {"input": person},
        "login": {"input": {name: person[name] for name in ("username", "password")}},
        "refreshToken": {},  # filled in by the login before it
        "logout": {},
    }
    assert set(mine) == set(schema.mutation_type.fields)
    answered: set[tuple[str, str]] = set()
    for name, given in mine.items():
        document, variables = operation(schema, "mutation", name, schema.mutation_type.fields[name], given)
        answer = await desk.ask(document, variables, token)
        assert "errors" not in answer, (name, answer)
        answered |= set(fields_in(answer["data"]))
        if name == "login":
            mine["refreshToken"] = {"refreshToken": answer["data"]["login"]["refreshToken"]}
    return answered
