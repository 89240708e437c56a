"""Limits: each is met once on every transport, no reasonable client meets one, and counting never spreads out."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    get_introspection_query,
    parse,
    specified_rules,
    visit,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from domain.inputs import MESSAGE_LENGTH
from graph.documents import Documents
from graph.limits import (
    MAX_CHARACTERS,
    MAX_DEFINITIONS,
    MAX_GIVEN_VALUES,
    MAX_LINES,
    MAX_SELECTIONS,
    MAX_VALUES,
    MAX_VARIABLES,
    Limits,
    size_of,
)
from graph.outlines import CEILING, Outline, outline_of
from graph.schema import create_schema
from settings import Settings
from tests.graph.desk import HOUSE, Desk, code_of, open_desk
from tests.graph.sockets import signed_in

LIMITS = Limits()
UNPRICED = replace(LIMITS, cost=CEILING)
SCHEMA = create_schema()._schema
CLIENTS = HOUSE / "tests" / "clients"
ALL_OPTIONS = get_introspection_query(True, True, True, True, True, True)
SESSIONS = "query($n: Int) { sessions(first: $n) { edges { node { id } } } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As `make run` has them."""
    return settings.model_copy(update={"max_request_bytes": 262_144})


@pytest.fixture
async def reticent(migrated: Path, tmp_path: Path, settings: Settings) -> AsyncIterator[Desk]:
    """A desk in production mode."""
    file = tmp_path / "reticent.sqlite3"
    shutil.copy(migrated, file)
    off = settings.model_copy(update={"graphql_introspection": "off"})
    async with open_desk(f"sqlite+aiosqlite:///{file}", off) as desk:
        yield desk


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


BROKEN = {
    "characters": ("{ viewer { id } } #" + "x" * MAX_CHARACTERS, None, MAX_CHARACTERS, MAX_CHARACTERS + 19),
    "lines": ("{ viewer { id } }" + "\n" * MAX_LINES, None, MAX_LINES, MAX_LINES + 1),
    "definitions": (fragments(MAX_DEFINITIONS), None, MAX_DEFINITIONS, MAX_DEFINITIONS + 1),
    "selections": (repeated("id", MAX_SELECTIONS), None, MAX_SELECTIONS, MAX_SELECTIONS + 1),
    "values": ("{ node(id: [" + "1 " * MAX_VALUES + "]) { id } }", None, MAX_VALUES, MAX_VALUES + 1),
    "variableValues": ("{ viewer { id } }", {"x": [0] * MAX_GIVEN_VALUES}, MAX_GIVEN_VALUES, MAX_GIVEN_VALUES + 1),
    "variableCharacters": ("{ viewer { id } }", {"x": "y" * MAX_CHARACTERS}, MAX_CHARACTERS, MAX_CHARACTERS + 1),
    "depth": (nested(LIMITS.depth + 1), None, LIMITS.depth, LIMITS.depth + 1),
    "aliases": (wide(LIMITS.aliases + 1), None, LIMITS.aliases, LIMITS.aliases + 1),
    "rootFields": (
        "{ " + "viewer { id } " * (LIMITS.root_fields + 1) + "}", None, LIMITS.root_fields, LIMITS.root_fields + 1
    ),
    "directives": (
        repeated("id @skip(if: false)", LIMITS.directives + 1), None, LIMITS.directives, LIMITS.directives + 1
    ),
    "cost": (
        "query($n: Int!) { sessions(first: $n) { edges { node { messages(first: $n) { edges { node { id role text rating"
        " createdAt turn { id status usage { promptTokens } } } } } } } } }",
        {"n": 100}, LIMITS.cost, 1 + 100 * (3 + 100 * 12),
    ),
}  # fmt: skip
"""For each limit: a document that breaks it with its variables, the bound, and what is counted."""


def refused(errors: list[dict[str, Any]], limit: str) -> bool:
    """Whether this limit and no other is told."""
    _, _, bound, counted = BROKEN[limit]
    told = {error["extensions"].get("details", {}).get("limit"): error for error in errors}
    assert set(told) <= {limit, "cost"}, told
    error = told[limit]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert error["extensions"]["details"] == {"limit": limit, "bound": bound, "counted": counted}
    return f"{counted:,}" in error["message"] and f"{bound:,}" in error["message"]


# ------------------------------------------------------------ each limit, on each transport


@pytest.mark.parametrize("limit", BROKEN)
async def test_over_http_a_broken_limit_is_a_request_error_that_names_it(desk: Desk, limit: str) -> None:
    query, variables, _, _ = BROKEN[limit]
    headers = {"accept": "application/graphql-response+json"}
    response = await desk.post({"query": query, "variables": variables}, headers=headers)
    assert response.status_code == 400
    answer = response.json()
    assert "data" not in answer
    assert refused(answer["errors"], limit)


async def test_on_a_stream_the_refusal_is_its_only_result(desk: Desk) -> None:
    for limit, (query, variables, _, _) in BROKEN.items():
        response = await desk.post({"query": query, "variables": variables}, headers={"accept": "text/event-stream"})
        events = [block for block in response.text.split("\n\n") if block.startswith("event")]
        assert [event.split("\n")[0] for event in events] == ["event: next", "event: complete"]
        assert refused(json.loads(events[0].partition("data: ")[2])["errors"], limit)


async def test_on_a_socket_the_operation_ends_and_the_socket_stays(desk: Desk, token: str) -> None:
    async with signed_in(desk, token) as socket:
        for limit in BROKEN.keys() - {"characters", "variableCharacters"}:  # which no message of a socket has room for
            query, variables, _, _ = BROKEN[limit]
            await socket.subscribe(query, variables, id=limit)
            told = await socket.receive()
            assert (told["id"], told["type"]) == (limit, "error")
            assert refused(told["payload"], limit)
        await socket.subscribe("{ viewer { username } }")
        assert (await anext(socket.results()))["data"] == {"viewer": {"username": "ada"}}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ viewer { id } } #" + "x" * (MAX_CHARACTERS - 19), {}),
        ("{ viewer { id } }" + "\n" * (MAX_LINES - 1), {}),
        (fragments(40), {}),
        (nested(LIMITS.depth), {}),
        (wide(LIMITS.aliases), {}),
        ("{ " + "viewer { id } " * LIMITS.root_fields + "}", {}),
        (repeated("id @skip(if: false)", 30), {}),
        (BROKEN["cost"][0], {"n": 91}),
        (reading(20, 50), {}),
        ("{ viewer { id } }", {"x": [0] * (MAX_GIVEN_VALUES - 2), "y": "z" * (MAX_CHARACTERS - 2)}),
    ],
)
def test_what_stays_at_the_bounds_may_run(text: str, variables: dict[str, Any]) -> None:
    name = "Q0" if "query Q0" in text else None
    limits = UNPRICED if text == nested(LIMITS.depth) else LIMITS
    assert judge(text, name, limits, **variables) == []


def test_variables_in_fragments_are_counted_once_for_each_operation() -> None:
    (error,) = judge(reading(21, 99), "Q0", replace(LIMITS, root_fields=21))
    assert error.extensions is not None
    assert error.extensions["details"] == {"limit": "variables", "bound": MAX_VARIABLES, "counted": 21 * 99}


def test_variables_are_measured_with_all_that_they_hold() -> None:
    assert size_of({}) == (0, 0)
    assert size_of({"a": 1, "b": "text", "c": None}) == (3, 7)
    assert size_of({"a": {"b": [1, [2, {"cd": "é"}]], "d": []}}) == (8, 6)
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert size_of({"a": deep}) == (MAX_GIVEN_VALUES + 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "{ sessions(search: {a: [%s]}) { edges { cursor } } }",
        "{ viewer { id @skip(if: [[%s]]) } }",
        "query($n: [[Int]] = [[%s]]) { viewer { id } }",
        "query @skip(if: [[%s]]) { viewer { id } }",
        "query($n: Int @skip(if: [[%s]])) { viewer { id } }",
        "{ viewer { ...F } } fragment F on User { ... @skip(if: [[%s]]) { id } }",
    ],
)
def test_values_are_counted_wherever_they_stand(text: str) -> None:
    assert outline(text % ("1 " * 7)).values == 9
    small, large = judge(text % ("1 " * (MAX_VALUES - 2))), judge(text % ("1 " * (MAX_VALUES - 1)))
    assert not any("values in one argument" in error.message for error in small)
    assert "values in one argument" in large[0].message


def test_every_setting_reaches_its_limit() -> None:
    names = ("tokens", "depth", "aliases", "root_fields", "directives", "cost")
    given: dict[str, Any] = {f"graphql_max_{name}": 101 + n for n, name in enumerate(names)}
    changed = Settings(_env_file=None, **given)
    assert [getattr(Limits.of(changed), name) for name in names] == [101, 102, 103, 104, 105, 106]
    assert Limits.of(Settings(_env_file=None)) == Limits()


# ------------------------------------------------------------ what is no document for a parser


@pytest.mark.parametrize(
    "query",
    ["{" * 10_000, "{a" * 1_400 + "}" * 1_400, "{ node(id: " + "[" * 1_400 + "]" * 1_400 + ") { id } }",
     "{ node(id: " + "{a:" * 900 + "1" + "}" * 900 + ") { id } }", "{ " + "viewer " * 4_000 + "}"],
)  # fmt: skip
async def test_deep_and_endless_documents_fail_to_parse_and_nothing_else(desk: Desk, token: str, query: str) -> None:
    assert code_of(await desk.ask(query)) == "GRAPHQL_PARSE_FAILED"
    async with signed_in(desk, token) as socket:
        await socket.subscribe(query)
        told = await socket.receive()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_PARSE_FAILED")
        await socket.subscribe("{ viewer { username } }")
        assert (await anext(socket.results()))["data"]["viewer"]


async def test_batches_are_refused_with_the_reason(desk: Desk) -> None:
    refused = await desk.post([{"query": "{ viewer { id } }"}, {"query": "{ viewer { id } }"}])
    assert (refused.status_code, code_of(refused.json())) == (400, "BAD_USER_INPUT")
    assert "batching" in refused.json()["errors"][0]["message"]


# ------------------------------------------------------------ reasonable clients

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
WHOLE_CHAT = """query($id: ID!, $last: Int) { session(id: $id) { id title messages(last: $last) {
  pageInfo { startCursor hasPreviousPage } edges { cursor node { __typename id role text rating createdAt
    turn { id status standaloneQuestion routes { confidence reason agent { name title } } usage { promptTokens } }
    sources { id ordinal agent documentId title url excerpt score spans { start end } }
    versions { id text createdAt sources { id ordinal title url spans { start end } } } } } } } }"""
LONG = f'subscription {{ sendMessage(input: {{sessionId: "x", text: "{chr(92)}u0041"}}) {{ seq }} }}'.replace(
    chr(92) + "u0041", (chr(92) + "u0041") * MESSAGE_LENGTH
)
"""A question as long as they may be, written into the document, each character of it escaped."""


@pytest.mark.parametrize(
    ("text", "variables"),
    [(ALL_OPTIONS, {}), (RELAY, {}), (RELAY, {"first": 100}), (WHOLE_CHAT, {"id": "x", "last": 100}), (LONG, {})],
)
def test_no_reasonable_client_meets_a_limit(text: str, variables: dict[str, Any]) -> None:
    """Nor comes near one."""
    near = Limits(*(bound * 3 // 4 for bound in astuple(LIMITS)[:-1]))
    assert judge(text, limits=near, **variables) == []


async def test_introspection_is_answered_in_full(desk: Desk) -> None:
    data = await desk.data(ALL_OPTIONS)
    assert {"ChatSession", "TurnEvent"} <= {type_["name"] for type_ in data["__schema"]["types"]}


def test_the_introspection_of_npms_graphql_may_run() -> None:
    if not (shutil.which("node") and (CLIENTS / "node_modules" / "graphql").is_dir()):
        pytest.skip("Node and `npm ci --prefix tests/clients` are needed")
    script = """import { getIntrospectionQuery } from 'graphql'; process.stdout.write(getIntrospectionQuery({
      descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true,
      inputValueDeprecation: true, oneOf: true }))"""
    command = ["node", "--input-type=module", "-e", script]
    text = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "__schema" in text
    assert judge(text) == []


# ------------------------------------------------------------ introspection and suggestions


async def test_in_production_mode_the_schema_is_not_told(desk: Desk, reticent: Desk) -> None:
    for query in (ALL_OPTIONS, '{ __type(name: "User") { name } }',
                  "{ viewer { id } ...F } fragment F on Query { ...G } fragment G on Query { __schema { types { name } } }"):  # fmt: skip
        assert "errors" not in await desk.ask(query)
        answer = await reticent.ask(query)
        assert code_of(answer) == "GRAPHQL_VALIDATION_FAILED"
        assert "__schema" in answer["errors"][0]["message"]
        assert "data" not in answer
    assert await reticent.data("{ __typename viewer { __typename } }") == {"__typename": "Query", "viewer": None}


async def test_in_production_mode_no_names_are_suggested(desk: Desk, reticent: Desk) -> None:
    rating = "mutation($rating: Rating!) { rateMessage(messageId: 1, rating: $rating) { id } }"
    wrong = [
        ("{ viewr { id } }", None),
        ("{ sessions(frist: 1) { edges { cursor } } }", None),
        ("{ viewer { ...F } } fragment F on Usr { id }", None),
        ("mutation { rateMessage(messageId: 1, rating: UPP) { id } }", None),
        (rating, {"rating": "UPP"}),
    ]
    for query, variables in wrong:
        assert "Did you mean" in json.dumps(await desk.ask(query, variables)), query
        answer = await reticent.ask(query, variables)
        assert answer["errors"]
        assert "Did you mean" not in json.dumps(answer), query
    send = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq } }"
    for asked, suggests in ((desk, True), (reticent, False)):
        async with signed_in(asked, await asked.sign_up("bob")) as socket:
            await socket.subscribe(send, {"input": {"sessionId": "x", "text": "y", "onBusy": "ENQUEU"}})
            told = await socket.receive()
            assert told["type"] == "error"
            assert ("Did you mean" in json.dumps(told)) is suggests


@pytest.mark.parametrize(
    ("setting", "host", "allowed"),
    [("auto", "127.0.0.1", True), ("auto", "::1", True), ("auto", "localhost", True), ("auto", "0.0.0.0", False),  # noqa: S104
     ("auto", "::", False), ("auto", "desk.example", False), ("on", "0.0.0.0", True), ("off", "127.0.0.1", False)],  # noqa: S104
)  # fmt: skip
def test_a_server_that_others_reach_is_in_production_mode(setting: str, host: str, allowed: bool) -> None:
    settings = Settings(_env_file=None, graphql_introspection=setting, host=host)
    assert Limits.of(settings).introspection is allowed


# ------------------------------------------------------------ cost


def test_a_page_costs_what_it_is_asked_to_hold() -> None:
    def page(size: int) -> int:
        return 1 + size * 3

    assert cost(SESSIONS, n=7) == page(7)
    assert cost(SESSIONS) == cost(SESSIONS, n=None) == page(20)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = 50")) == page(50)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = 50"), n=60) == page(60)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = null")) == page(20)
    for literal, size in (("0", 0), ("7", 7), ("100", 100), ("101", 100), ("-1", 0), ("null", 20), ('"7"', 100),
                          ("9" * 5_000, 100)):  # fmt: skip
        assert cost(f"{{ sessions(first: {literal}) {{ edges {{ node {{ id }} }} }} }}") == page(size)
    for value, size in ((0, 0), (-5, 0), (10**9, 100), (7.0, 7), ("7", 100), (True, 100), ([], 100)):
        assert cost(SESSIONS, n=value) == page(size)
    backwards = "query($n: Int) { messages(sessionId: 1, last: $n) { edges { cursor } pageInfo { endCursor } } }"
    assert cost(backwards, n=30) == 1 + 30 * 4
    assert cost("{ messages(sessionId: 1, first: 3, last: 9) { edges { cursor } } }") == 1 + 9 * 2


def test_lists_in_lists_multiply_through_fragments_too() -> None:
    spread = """query($a: Int, $b: Int) { sessions(first: $a) { ...S } }
      fragment S on ChatSessionConnection { edges { node { messages(last: $b) { ...M } } } }
      fragment M on MessageConnection { edges { node { id sources { id } } } }"""
    assert cost(spread, a=10, b=4) == 1 + 10 * (3 + 4 * (4 + 5))
    assert cost(spread, a=100, b=100) == 1 + 100 * (3 + 100 * (4 + 5))
    assert cost("{ agents { name title } }") == 1 + 10 * 2


def test_the_same_document_is_read_once_and_judged_for_each_variables() -> None:
    documents = Documents(LIMITS)
    text, schema = BROKEN["cost"][0], SCHEMA
    assert documents.check(schema, text, None, {"n": 1}, specified_rules) == []
    assert documents.check(schema, text, None, {"n": 100}, specified_rules)
    assert documents.check(schema, text, None, {"n": 1}, specified_rules) == []
    assert documents.parse(text) is documents.parse(text)
    long = text + "#" + "x" * 20_000
    assert documents.parse(long) is documents.parse(long)
    assert documents.parse("{ a {") is documents.parse("{ a {")


def test_only_the_operation_that_runs_counts() -> None:
    text = f"query Small {{ viewer {{ id }} }} query Large {nested(LIMITS.depth + 1)}"
    assert judge(text, "Small") == []
    (error,) = judge(text, "Large", UNPRICED)
    assert "fields one in another" in error.message
    assert [error.message for error in judge(text)] == [
        "The document holds several operations: name one in `operationName`."
    ]


# ------------------------------------------------------------ fragments


def test_fields_of_one_name_are_compared_up_to_a_bound() -> None:
    assert judge(repeated("id", 40)) == []
    (error,) = judge(repeated("id", 200))  # which graphql-core would compare
    assert "same names" in error.message


def bomb(number: int, times: int = 2) -> str:
    spreads = [f"fragment F{n} on User {{ {f'...F{n + 1} ' * times}}}" for n in range(number)]
    return "{ viewer { ...F0 } }" + "".join(spreads) + f"fragment F{number} on User {{ id x: id }}"


def test_fragments_that_double_are_counted_without_spreading_them() -> None:
    assert cost(bomb(10)) == 1 + 2 * 2**10
    assert outline(bomb(10)).counts[0].aliases == 2**10
    assert cost(bomb(90, 9)) == outline(bomb(90, 9)).counts[0].aliases == CEILING
    assert "1,000,000,000 or more" in judge(bomb(90))[0].message


def test_each_selection_is_looked_at_once_however_often_it_is_spread() -> None:
    for text in (bomb(90), fragments(200), wide(300), nested(30), RELAY, ALL_OPTIONS):
        assert outline(text).visited == _selections(text)


@pytest.mark.parametrize(
    "text",
    [
        "{ viewer { id } ...F } fragment F on Query { ...F }",
        "{ ...F } fragment F on Query { viewer { id } ...G } fragment G on Query { ...F ...G }",
        "{ viewer { id } } fragment F on User { ...G } fragment G on User { ...F }",
        "{ viewer { ...Missing } }",
        "{ viewer { id } } fragment F on Missing { ...Missing }",
        "{ viewer { id { id } } missing { sessions(first: 3) { id } } }",
    ],
)
def test_circles_and_gaps_are_left_to_the_validation(text: str) -> None:
    (error, *_) = judge(text)
    assert error.extensions is not None
    assert error.extensions["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "details" not in error.extensions


def test_long_chains_and_circles_do_not_recurse() -> None:
    chain = "".join(f"fragment F{n} on User {{ id ...F{n + 1} }}" for n in range(5_000))
    assert cost("{ viewer { ...F0 } }" + chain) == 1 + 5_000
    circle = chain.replace("...F5000", "...F0")
    assert cost("{ viewer { ...F0 } }" + circle) == 1 + 5_000


NAMES = [f"F{n}" for n in range(5)]
LEAVES = ["id", "a: id", "__typename", "id @skip(if: false)"]


def _selection_sets(spreads: list[str]) -> st.SearchStrategy[str]:
    """Selections on Node, which has no paged lists of its own: ChatSession's are reached by type condition."""
    leaf = st.sampled_from([*LEAVES, *(f"...{name}" for name in spreads)])

    def wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        wrapped = st.sampled_from(
            [
                "... {{ {} }}",
                "... on ChatSession @include(if: true) {{ x: messages(first: $n) {{ edges {{ node {{ {} }} }} }} }}",
                "... on ChatSession {{ messages(last: 3) {{ edges {{ node {{ {} }} }} }} }}",
                "... on Message {{ versions {{ {} }} turn {{ ...F9 }} }}",
            ]
        )
        return st.builds(str.format, wrapped, inner)

    one = st.recursive(leaf, lambda inner: wrap(st.lists(inner, min_size=1, max_size=3).map(" ".join)), max_leaves=5)
    return st.lists(one, min_size=1, max_size=4).map(" ".join)


@st.composite
def nested_fragments(draw: st.DrawFn) -> str:
    """Each fragment spreads later ones only."""
    parts = [f"fragment {name} on Node {{ {draw(_selection_sets(NAMES[n + 1 :]))} }}" for n, name in enumerate(NAMES)]
    order = draw(st.permutations(parts))
    return f"query($n: Int) {{ node(id: 1) {{ {draw(_selection_sets(NAMES))} }} }} {' '.join(order)}"


@examples(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nested_fragments(), st.integers(0, 5))
def test_counting_agrees_with_spreading_everything_out(text: str, size: int) -> None:
    found = outline(text)
    naive = Naive(text, size)
    counts = found.counts[0]
    assert (counts.depth, counts.aliases, counts.directives, counts.root_fields) == (
        naive.depth, naive.aliases, naive.directives, 1
    )  # fmt: skip
    assert found.cost(0, {"n": size}) == naive.cost
    assert found.visited == _selections(text)


class Naive:
    """Counts by walking into every spread, each time."""

    def __init__(self, text: str, size: int) -> None:
        document = parse(text)
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.lengths = {"messages": {"first": size, "last": 3}, "versions": {"": 2}}
        self.depth = self.aliases = self.directives = self.cost = 0
        (operation,) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._walk(operation.selection_set, 0, 1)

    def _walk(self, selection_set: SelectionSetNode, depth: int, times: int) -> None:
        for node in selection_set.selections:
            self.directives += len(node.directives or ())
            if node.kind == "fragment_spread":
                spread = self.fragments.get(node.name.value)  # type: ignore[attr-defined]
                if spread is not None:
                    self._walk(spread.selection_set, depth, times)
            elif node.kind == "inline_fragment":
                self._walk(node.selection_set, depth, times)  # type: ignore[attr-defined]
            else:
                self._field(node, depth, times)

    def _field(self, node: Any, depth: int, times: int) -> None:
        self.depth = max(self.depth, depth + 1)
        self.aliases += node.alias is not None
        self.cost += times
        argument = node.arguments[0].name.value if node.arguments else ""
        length = self.lengths.get(node.name.value, {}).get(argument, 1)
        if node.selection_set is not None:
            self._walk(node.selection_set, depth + 1, times * length)


def _selections(text: str) -> int:
    class Counting(Visitor):
        found = 0

        def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:
            self.found += len(node.selections)

    counting = Counting()
    visit(parse(text), counting)
    return counting.found
