"""Reasonable clients: none of them comes near a limit."""

import re
import shutil
import subprocess
from dataclasses import astuple
from typing import Any

import pytest

from domain.inputs import MESSAGE_LENGTH
from graph.limits import (
    MAX_CHARACTERS,
    MAX_DEFINITIONS,
    MAX_LINES,
    MAX_SELECTIONS,
    MAX_VALUE_DEPTH,
    MAX_VALUES,
    MAX_VARIABLES,
    Limits,
)
from tests.graph.desk import HOUSE, Desk
from tests.graph.judging import ALL_OPTIONS, LIMITS, RELAY, judge, outline

CLIENTS = HOUSE / "tests" / "clients"
EXAMPLES = (HOUSE / "web" / "playground" / "examples.graphql").read_text()
"""The playground's, all of them in one document."""
WHOLE_CHAT = """query($id: ID!, $last: Int) { session(id: $id) { id title messages(last: $last) {
  pageInfo { startCursor hasPreviousPage } edges { cursor node { __typename id role text rating createdAt
    turn { id status standaloneQuestion routes { confidence reason agent { name title } } usage { promptTokens } }
    sources { id ordinal agent documentId title url excerpt score spans { start end } }
    versions { id text createdAt sources { id ordinal title url spans { start end } } } } } } } }"""
LONG = f'subscription {{ sendMessage(input: {{sessionId: "x", text: "{chr(92)}u0041"}}) {{ seq }} }}'.replace(
    chr(92) + "u0041", (chr(92) + "u0041") * MESSAGE_LENGTH
)
"""A question as long as they may be, written into the document, each character of it escaped."""
NEAR = Limits(*(bound * 3 // 4 for bound in astuple(LIMITS)[:-1]))


@pytest.mark.parametrize(
    ("text", "variables"),
    [(ALL_OPTIONS, {}), (RELAY, {}), (RELAY, {"first": 100}), (WHOLE_CHAT, {"id": "x", "last": 100}), (LONG, {})],
)
def test_no_reasonable_client_meets_a_limit(text: str, variables: dict[str, Any]) -> None:
    """Nor comes near one."""
    assert judge(text, limits=NEAR, **variables) == []


def test_nor_does_whoever_puts_every_example_into_one_document() -> None:
    names = [node.name.value for node in outline(EXAMPLES).operations if node.name is not None]
    assert len(names) > 10
    for name in names:
        assert judge(EXAMPLES, name, NEAR) == []


def of_relay() -> str:
    """Every document of the small chat that tests/clients runs on Relay's runtime."""
    return "\n".join(re.findall(r"graphql`(.*?)`", (CLIENTS / "relay" / "desk.js").read_text(), re.DOTALL))


@pytest.mark.parametrize("text", [ALL_OPTIONS, RELAY, WHOLE_CHAT, LONG, EXAMPLES, of_relay()])
def test_what_is_no_setting_is_at_least_twice_what_clients_send(text: str) -> None:
    found = outline(text)
    assert found.operations
    for counted, bound in (
        (found.definitions, MAX_DEFINITIONS),
        (found.visited, MAX_SELECTIONS),
        (found.values, MAX_VALUES),
        (found.value_depth, MAX_VALUE_DEPTH),
        (found.variables, MAX_VARIABLES),
        (text.count("\n"), MAX_LINES),
        (0 if text == LONG else len(text), MAX_CHARACTERS),
    ):
        assert counted * 2 <= bound


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
