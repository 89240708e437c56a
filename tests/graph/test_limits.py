"""Limits: each is met once on every transport, and what stays at them may run."""

import json
from dataclasses import replace
from typing import Any

import pytest

from graph.limits import (
    MAX_CHARACTERS,
    MAX_DEFINITIONS,
    MAX_GIVEN_VALUES,
    MAX_LINES,
    MAX_SELECTIONS,
    MAX_VALUE_DEPTH,
    MAX_VALUES,
    MAX_VARIABLES,
    Limits,
    size_of,
)
from settings import Settings
from tests.graph.desk import Desk, code_of
from tests.graph.judging import (
    COSTLY,
    LIMITS,
    UNPRICED,
    fragments,
    judge,
    listing,
    lists,
    many,
    nested,
    outline,
    reading,
    repeated,
    wide,
)
from tests.graph.sockets import signed_in


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As `make run` has them."""
    return settings.model_copy(update={"max_request_bytes": 262_144})


BROKEN = {
    "characters": ("{ viewer { id } } #" + "x" * MAX_CHARACTERS, None, MAX_CHARACTERS, MAX_CHARACTERS + 19),
    "lines": ("{ viewer { id } }" + "\n" * MAX_LINES, None, MAX_LINES, MAX_LINES + 1),
    "definitions": (fragments(MAX_DEFINITIONS), None, MAX_DEFINITIONS, MAX_DEFINITIONS + 1),
    "selections": (repeated("id", MAX_SELECTIONS), None, MAX_SELECTIONS, MAX_SELECTIONS + 1),
    "values": ("{ node(id: [" + "1 " * MAX_VALUES + "]) { id } }", None, MAX_VALUES, MAX_VALUES + 1),
    "valueDepth": (lists(MAX_VALUE_DEPTH + 1), None, MAX_VALUE_DEPTH, MAX_VALUE_DEPTH + 1),
    "variables": (listing(MAX_VARIABLES), None, MAX_VARIABLES, MAX_VARIABLES + 1),
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
    "cost": (COSTLY, {"n": 100}, LIMITS.cost, 1 + 100 * (3 + 100 * 12)),
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
        (COSTLY, {"n": 91}),
        (reading(19, 25), {}),
        (many(MAX_DEFINITIONS, MAX_SELECTIONS // MAX_DEFINITIONS), {}),
        ("{ viewer { id } }", {"x": [0] * (MAX_GIVEN_VALUES - 2), "y": "z" * (MAX_CHARACTERS - 2)}),
    ],
)
def test_what_stays_at_the_bounds_may_run(text: str, variables: dict[str, Any]) -> None:
    name = "Q0" if "query Q0" in text else None
    limits = UNPRICED if text == nested(LIMITS.depth) else LIMITS
    assert judge(text, name, limits, **variables) == []


def test_variables_in_fragments_are_counted_once_for_each_operation() -> None:
    (error,) = judge(reading(21, 90), "Q0", replace(LIMITS, root_fields=21))
    assert error.extensions is not None
    assert error.extensions["details"] == {"limit": "variables", "bound": MAX_VARIABLES, "counted": (1 + 21) * 90}


def test_what_only_looks_like_a_variable_is_none() -> None:
    for text in ("$" * (MAX_VARIABLES + 1), "$a " * (MAX_VARIABLES + 1)):
        assert judge(f'{{ sessions(search: "{text}") {{ edges {{ cursor }} }} }} # {text}') == []
    (error,) = judge(listing(MAX_VARIABLES))
    assert "variables declared and read" in error.message
    assert "variables declared and read" not in judge(listing(MAX_VARIABLES - 1))[0].message


def test_a_value_may_be_nested_to_the_bound() -> None:
    for text in (lists(MAX_VALUE_DEPTH), lists(MAX_VALUE_DEPTH, "{a: ", "}")):
        assert not any("in each other" in error.message for error in judge(text))
    for text in (lists(MAX_VALUE_DEPTH + 1), lists(MAX_VALUE_DEPTH + 1, "{a: ", "}")):
        assert "in each other" in judge(text)[0].message


def test_tokens_are_read_to_the_bound() -> None:
    text = "{ viewer { id " + "# x\n" * (LIMITS.tokens - 6) + "} }"
    assert judge(text) == []
    (error,) = judge("# x\n" + text)
    assert f"more than {LIMITS.tokens} tokens" in error.message


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
