"""What Relay asks of a server, rule by rule: the GraphQL Global Object Identification Specification
(https://relay.dev/graphql/objectidentification.htm) and the GraphQL Cursor Connections Specification
(https://relay.dev/graphql/connections.htm)."""

import base64
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from graph.schema import schema_text
from tests.graph.busy import fill
from tests.graph.desk import Desk, code_of, global_id

pytestmark = pytest.mark.conformance("Relay")

NODE_INTERFACE = """{ __type(name: "Node") { name kind fields { name type { kind ofType { name kind } } } } }"""
PAGE = "{ edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
MESSAGES = (
    "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {"
    f" messages(sessionId: $id, first: $first, after: $after, last: $last, before: $before) {PAGE} }}"
)
SESSIONS = f"query($first: Int, $after: String) {{ sessions(first: $first, after: $after) {PAGE} }}"
IDS = """{ viewer { id __typename } sessions { edges { node { id __typename activeTurn { id __typename }
  messages(first: 100) { edges { node { id __typename turn { id __typename } sources { id __typename }
    versions { id __typename } } } } } } } }"""
ROOTS_AT_ONCE = 20
NO_IDS = (
    *("", "1", "nonsense", "é", "\x00", "VHVybjoxMA", "VHVybjoxMA=", "VHVybjoxMB==", " VHVybjoxMA==", "VHVybjoxMA==\n"),
    *(global_id(kind, 1) for kind in ("Agent", "AuthPayload", "message", "Message ", "", "Source")),
    *(global_id("Message", key) for key in ("", 0, -1, "01", "1 ", "\u0661", "1-1", "1e3", "9" * 20)),
)
IMPOSSIBLE: tuple[tuple[dict[str, Any], str], ...] = (
    *(({"first": size}, "first") for size in (-1, 101, 2**31 - 1, -(2**31))),
    *(({"last": size}, "last") for size in (-1, 101)),
    *(({"first": size, "last": size}, "last") for size in (0, 1)),
    *(({"first": 1, "after": cursor}, "cursor") for cursor in ("", "nonsense", "é", "W10", "\u0000")),
    ({"last": 1, "before": ""}, "cursor"),
    ({"first": 1, "before": "nonsense"}, "cursor"),
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(schema_text())


@pytest.fixture
async def session(desk: Desk, token: str) -> str:
    """The global id of the last of two sessions, both with four messages and a version more."""
    await fill(desk, token, 2)
    page = await desk.data("{ sessions { edges { node { id } } } }", token=token)
    return str(page["sessions"]["edges"][0]["node"]["id"])


def nodes_in(data: Any) -> Iterator[tuple[str, str]]:
    """The type and the id of everything that has one."""
    if isinstance(data, dict):
        if "id" in data:
            yield data["__typename"], data["id"]
        for member in data.values():
            yield from nodes_in(member)
    elif isinstance(data, list):
        for member in data:
            yield from nodes_in(member)


def fields_of(kind: GraphQLObjectType) -> str:
    """A selection of the fields that take no further selection."""
    leaves = [name for name, field in kind.fields.items() if not hasattr(get_named_type(field.type), "fields")]
    return f"{{ __typename {' '.join(leaves)} }}"


# ---------------------------------------------------------------- Global Object Identification


async def test_the_node_interface_is_introspected_as_specified(desk: Desk) -> None:
    id_field = {"name": "id", "type": {"kind": "NON_NULL", "ofType": {"name": "ID", "kind": "SCALAR"}}}
    told = {"__type": {"name": "Node", "kind": "INTERFACE", "fields": [id_field]}}
    assert await desk.data(NODE_INTERFACE) == told


def test_the_root_field_node_takes_one_id_and_gives_a_node(schema: GraphQLSchema) -> None:
    assert schema.query_type is not None
    field = schema.query_type.fields["node"]
    assert {name: str(argument.type) for name, argument in field.args.items()} == {"id": "ID!"}
    assert str(field.type) == "Node"


async def test_every_node_of_every_type_is_found_again_by_its_id_and_is_equal(
    desk: Desk, token: str, session: str, schema: GraphQLSchema
) -> None:
    seen = dict.fromkeys(nodes_in(await desk.data(IDS, token=token)))
    interface = schema.type_map["Node"]
    assert isinstance(interface, GraphQLInterfaceType)
    types = {kind.name: kind for kind in schema.get_possible_types(interface)}
    assert {kind for kind, _ in seen} == set(types)
    spreads = " ".join(f"... on {name} {fields_of(kind)}" for name, kind in types.items())
    query = f"query($id: ID!) {{ a: node(id: $id) {{ __typename id {spreads} }} b: node(id: $id) {{ id {spreads} }} }}"
    for kind, id in seen:
        found = await desk.data(query, {"id": id}, token)
        assert (found["a"]["__typename"], found["a"]["id"]) == (kind, id)
        assert found["a"] == found["b"]


async def test_ids_are_unique_over_all_types(desk: Desk, token: str, session: str) -> None:
    seen = dict.fromkeys(nodes_in(await desk.data(IDS, token=token)))
    assert len({id for _, id in seen}) == len(seen)
    keys = [base64.b64decode(id).decode().partition(":")[2] for _, id in seen]
    assert len(set(keys)) < len(keys), "the types' own keys overlap, so the type is what tells them apart"


async def test_what_is_not_there_or_somebody_elses_is_null(desk: Desk, token: str, session: str) -> None:
    stranger = await desk.sign_up("eve")
    query = "query($id: ID!) { node(id: $id) { id } }"
    for _, id in dict.fromkeys(nodes_in(await desk.data(IDS, token=token))):
        assert await desk.data(query, {"id": id}, stranger) == {"node": None}
    for kind, key in product(("User", "ChatSession", "Message", "Turn"), (777, 2**31, 2**63, 10**18)):
        assert await desk.data(query, {"id": global_id(kind, key)}, token) == {"node": None}
    for source in ("2-99", "999-1", f"{2**63}-1"):
        assert await desk.data(query, {"id": global_id("Source", source)}, token) == {"node": None}


async def test_what_is_no_id_of_this_api_is_bad_input_that_names_the_argument(desk: Desk, token: str) -> None:
    for id in NO_IDS:
        query = "query($id: ID!) { node(id: $id) { id } session(id: $id) { id } }"
        answer = await desk.ask(query, {"id": id}, token)
        assert answer["data"] == {"node": None, "session": None}
        for error in answer["errors"]:
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
            assert error["extensions"]["details"] == {"fields": {"id": "is not an id of this API"}}
        assert len(answer["errors"]) == 2, id


async def test_without_a_token_there_is_no_node_to_find(desk: Desk) -> None:
    answer = await desk.ask("query($id: ID!) { node(id: $id) { id } }", {"id": global_id("Message", 1)})
    assert code_of(answer) == "UNAUTHENTICATED"


# ---------------------------------------------------------------- connections: their types


def connections(schema: GraphQLSchema) -> list[GraphQLObjectType]:
    found = [kind for name, kind in schema.type_map.items() if name.endswith("Connection")]
    assert len(found) >= 2
    return [kind for kind in found if isinstance(kind, GraphQLObjectType)]


def test_connections_have_edges_and_page_info(schema: GraphQLSchema) -> None:
    for connection in connections(schema):
        edges = connection.fields["edges"].type
        while isinstance(edges, GraphQLNonNull):
            edges = edges.of_type
        assert isinstance(edges, GraphQLList)
        assert str(connection.fields["pageInfo"].type) == "PageInfo!"


def test_edges_have_a_node_and_a_cursor(schema: GraphQLSchema) -> None:
    for connection in connections(schema):
        edge = get_named_type(connection.fields["edges"].type)
        assert isinstance(edge, GraphQLObjectType)
        assert edge.name == connection.name.replace("Connection", "Edge")
        node = edge.fields["node"].type
        assert "[" not in str(node), "a node is no list"
        assert str(edge.fields["cursor"].type) == "String!"


def test_page_info_is_as_specified(schema: GraphQLSchema) -> None:
    info = schema.type_map["PageInfo"]
    assert isinstance(info, GraphQLObjectType)
    assert {name: str(field.type) for name, field in info.fields.items()} == {
        "hasNextPage": "Boolean!",
        "hasPreviousPage": "Boolean!",
        "startCursor": "String",
        "endCursor": "String",
    }


def test_fields_that_give_a_connection_take_the_arguments_of_a_direction(schema: GraphQLSchema) -> None:
    forwards, backwards = {"first": "Int", "after": "String"}, {"last": "Int", "before": "String"}
    names = {connection.name for connection in connections(schema)}
    paged = 0
    for kind in schema.type_map.values():
        for field in kind.fields.values() if isinstance(kind, GraphQLObjectType) else ():
            if get_named_type(field.type).name in names:
                given = {name: str(argument.type) for name, argument in field.args.items()}
                assert given.items() >= forwards.items()
                assert given.keys().isdisjoint(backwards) or given.items() >= backwards.items()
                paged += 1
    assert paged >= 3


# ---------------------------------------------------------------- connections: the pagination algorithm


def expected(edges: list[Any], first: int | None, after: str | None, last: int | None, before: str | None) -> Any:
    """EdgesToReturn, HasPreviousPage and HasNextPage of the specification, over all edges. Where the server may say
    that something stands on the side that the reader comes from, this one does."""
    places = [edge["cursor"] for edge in edges]
    start = 0 if after is None else places.index(after) + 1
    end = len(edges) if before is None else places.index(before)
    window = edges[start:end]
    size = last if last is not None else 20 if first is None else first
    page = window[max(len(window) - size, 0) :] if last is not None else window[:size]
    more = len(window) > size
    return {
        "edges": page,
        "pageInfo": {
            "hasNextPage": before is not None if last is not None else more,
            "hasPreviousPage": more if last is not None else after is not None,
            "startCursor": page[0]["cursor"] if page else None,
            "endCursor": page[-1]["cursor"] if page else None,
        },
    }


async def test_every_window_of_a_list_is_what_the_algorithm_says(desk: Desk, token: str, session: str) -> None:
    edges = (await desk.data(MESSAGES, {"id": session, "first": 100}, token))["messages"]["edges"]
    assert len(edges) == 4
    cursors = [None, *(edge["cursor"] for edge in edges)]
    wanted = [
        {"first": size if forwards else None, "after": after, "last": None if forwards else size, "before": before}
        for size, forwards, after, before in product((0, 2, 5), (True, False), cursors, cursors)
    ] + [{"first": None, "after": after, "last": None, "before": None} for after in cursors]
    for begin in range(0, len(wanted), ROOTS_AT_ONCE):
        asked = {f"p{n}": given for n, given in enumerate(wanted[begin : begin + ROOTS_AT_ONCE])}
        told = await desk.data(query_of(asked), {"id": session}, token)
        nested = (await desk.data(nested_query_of(asked), {"id": session}, token))["session"]
        for name, given in asked.items():
            assert told[name] == expected(edges, **given), given
            assert nested[name] == told[name], given


def query_of(asked: dict[str, dict[str, Any]]) -> str:
    pages = (f"{name}: messages(sessionId: $id, {arguments(given)}) {PAGE}" for name, given in asked.items())
    return f"query($id: ID!) {{ {' '.join(pages)} }}"


def nested_query_of(asked: dict[str, dict[str, Any]]) -> str:
    pages = (f"{name}: messages({arguments(given)}) {PAGE}" for name, given in asked.items())
    return f"query($id: ID!) {{ session(id: $id) {{ {' '.join(pages)} }} }}"


def arguments(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())


async def test_every_page_of_the_sessions_is_what_the_algorithm_says(desk: Desk, token: str) -> None:
    await fill(desk, token, 5)
    edges = (await desk.data(SESSIONS, {"first": 100}, token))["sessions"]["edges"]
    assert len(edges) == 5
    for size, after in product((None, 0, 1, 4, 5, 6, 100), (None, *(edge["cursor"] for edge in edges))):
        told = (await desk.data(SESSIONS, {"first": size, "after": after}, token))["sessions"]
        assert told == expected(edges, size, after, None, None)


async def test_walks_in_both_directions_meet_every_edge_once(desk: Desk, token: str, session: str) -> None:
    edges = (await desk.data(MESSAGES, {"id": session, "first": 100}, token))["messages"]["edges"]
    for size in (1, 2, 3):
        for count, cursor, end, more in (
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ):
            seen: list[Any] = []
            info: dict[str, Any] = {more: True, end: None}
            while info[more]:
                given = {"id": session, count: size, cursor: info[end]}
                page = (await desk.data(MESSAGES, given, token))["messages"]
                seen = seen + page["edges"] if count == "first" else page["edges"] + seen
                info = page["pageInfo"]
            assert seen == edges


# ---------------------------------------------------------------- connections: arguments that cannot be


async def test_arguments_that_cannot_be_are_bad_input_that_says_why(desk: Desk, token: str, session: str) -> None:
    for given, field in IMPOSSIBLE:
        answers = [await desk.ask(MESSAGES, {"id": session, **given}, token)]
        nested = f"query($id: ID!) {{ session(id: $id) {{ messages({arguments(given)}) {PAGE} }} }}"
        answers.append(await desk.ask(nested, {"id": session}, token))
        if not given.keys() & {"last", "before"}:
            answers.append(await desk.ask(SESSIONS, given, token))
        for answer in answers:
            assert code_of(answer) == "BAD_USER_INPUT", given
            ((named, why),) = answer["errors"][0]["extensions"]["details"]["fields"].items()
            assert named == field, given
            assert why in answer["errors"][0]["message"]


async def test_a_cursor_of_another_list_is_refused(desk: Desk, token: str, session: str) -> None:
    message = (await desk.data(MESSAGES, {"id": session}, token))["messages"]["pageInfo"]["endCursor"]
    chat = (await desk.data(SESSIONS, {}, token))["sessions"]["pageInfo"]["endCursor"]
    assert code_of(await desk.ask(SESSIONS, {"after": message}, token)) == "BAD_USER_INPUT"
    assert code_of(await desk.ask(MESSAGES, {"id": session, "after": chat}, token)) == "BAD_USER_INPUT"


async def test_arguments_that_cannot_be_fail_their_own_page_alone(desk: Desk, token: str, session: str) -> None:
    query = """query($id: ID!) { good: node(id: $id) { ... on ChatSession { messages(last: 1) { edges { cursor } } } }
      gone: node(id: $id) { ... on ChatSession { messages(first: 1, after: "nonsense") { edges { cursor } } } } }"""
    answer = await desk.ask(query, {"id": session}, token)
    assert code_of(answer) == "BAD_USER_INPUT"
    assert answer["errors"][0]["path"] == ["gone", "messages"]
    assert answer["data"]["gone"] is None
    assert len(answer["data"]["good"]["messages"]["edges"]) == 1


# ---------------------------------------------------------------- connections: cursors are places, not counts


async def test_rows_that_come_and_go_between_pages_neither_repeat_nor_skip_others(desk: Desk, token: str) -> None:
    for _ in range(6):
        await desk.new_chat(token)
    ids = [edge["node"]["id"] for edge in (await desk.data(SESSIONS, {}, token))["sessions"]["edges"]]
    first = (await desk.data(SESSIONS, {"first": 2}, token))["sessions"]
    delete = "mutation($id: ID!) { deleteChat(sessionId: $id) }"
    for gone in (ids[0], ids[1], ids[3]):  # one that was read, the one at the cursor, one that is still to come
        await desk.data(delete, {"id": gone}, token)
    await desk.new_chat(token)
    rest = (await desk.data(SESSIONS, {"after": first["pageInfo"]["endCursor"]}, token))["sessions"]
    assert [edge["node"]["id"] for edge in rest["edges"]] == [ids[2], ids[4], ids[5]]


async def test_cursors_do_not_change_with_the_page_that_they_are_read_on(desk: Desk, token: str, session: str) -> None:
    whole = (await desk.data(MESSAGES, {"id": session, "first": 100}, token))["messages"]["edges"]
    parts = [
        edge
        for given in ({"first": 2}, {"last": 2})
        for edge in (await desk.data(MESSAGES, {"id": session, **given}, token))["messages"]["edges"]
    ]
    assert parts == whole
