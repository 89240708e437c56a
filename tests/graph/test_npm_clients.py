"""The clients that people install from npm, against the real server: graphql-ws and graphql-sse."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.graph.desk import HOUSE, PASSWORD
from tests.live_server import live_server

CLIENTS = HOUSE / "tests" / "clients"
WITHIN = 120


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not (shutil.which("node") and (CLIENTS / "node_modules").is_dir()):
        reason = "Node and `npm ci --prefix tests/clients` are needed"
        pytest.fail(reason) if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1" else pytest.skip(reason)
    with live_server() as base:
        yield f"{base}/graphql"


def node(script: str, *arguments: str) -> Any:
    """What the script printed, as JSON. Fails with its complaint."""
    command = ["node", script, *arguments]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["ws", "sse"])
def test_a_conversation_streams_is_stored_and_is_resumed_exactly(url: str, kind: str) -> None:
    report = node("conversation.mjs", kind, url)
    assert report["events"] >= 5
    assert "$9" in report["text"]


def test_a_client_that_reconnects_by_itself_asks_once_and_misses_nothing(url: str) -> None:
    def ask(query: str, variables: Any = None, token: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.post(url, json={"query": query, "variables": variables}, headers=headers, trust_env=False).json()

    person = {"username": "reconnecting", "email": "reconnecting@example.test", "password": PASSWORD}
    register = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }"
    token = ask(register, {"input": person})["data"]["register"]["accessToken"]
    chat = ask("mutation { newChat { id } }", token=token)["data"]["newChat"]["id"]
    report = node("reconnecting.mjs", url, token, chat)
    assert report["received"] >= report["events"] + 3
    messages = ask("query($id: ID!) { messages(sessionId: $id) { edges { node { id } } } }", {"id": chat}, token)
    assert len(messages["data"]["messages"]["edges"]) == 2
