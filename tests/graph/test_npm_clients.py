"""The clients that people install from npm, against the real server: each streams turns, sees what is refused, and goes
on after its connection broke. The assertions are in tests/clients, where the examples of docs/clients.md are too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.graph.desk import HOUSE, PASSWORD
from tests.live_server import live_server
from tests.node import CLIENTS, need_node, report_of, run_node

pytestmark = pytest.mark.conformance("Clients: graphql-ws, graphql-sse, urql, Apollo, Relay")

FORBIDDEN = 4403
CONVERSING = {
    "graphql-ws": FORBIDDEN,
    "graphql-sse": "UNAUTHENTICATED",
    "urql over its fetch": "UNAUTHENTICATED",
    "urql over multipart": "UNAUTHENTICATED",
    "urql over graphql-ws": FORBIDDEN,
    "urql over graphql-sse": "UNAUTHENTICATED",
    "Apollo over multipart": "UNAUTHENTICATED",
    "Apollo over graphql-ws": FORBIDDEN,
}
"""What each is told about a bad token: GraphQL's error, or a socket that is closed."""
SCHEMA = HOUSE / "schema.graphql"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    need_node()
    with live_server() as base:
        yield f"{base}/graphql"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What relay-compiler makes of tests/clients/relay with the schema as it is exported."""
    need_node()
    folder = tmp_path_factory.mktemp("relay")
    made = folder / "artifacts"
    made.mkdir()
    config = {
        "src": str(CLIENTS / "relay"),
        "schema": str(SCHEMA),
        "language": "javascript",
        "artifactDirectory": str(made),
    }
    (folder / "relay.config.json").write_text(json.dumps(config), "utf-8")
    run_node("node_modules/relay-compiler/cli.js", str(folder / "relay.config.json"))
    return made


@pytest.mark.parametrize("client", CONVERSING)
def test_a_conversation_streams_is_stored_and_is_resumed_exactly(url: str, client: str) -> None:
    report = report_of("conversation.mjs", client, url)
    assert report["events"] >= 5
    assert report["sources"] >= 1
    assert "$9" in report["text"]
    assert report["denied"] == CONVERSING[client]


@pytest.mark.parametrize("client", [*CONVERSING, "Relay over graphql-ws", "Relay over graphql-sse"])
def test_the_documented_way_to_ask_survives_broken_connections_and_an_expired_token(
    url: str, artifacts: Path, client: str
) -> None:
    report = report_of("breaking.mjs", client, url, str(artifacts))
    assert report["broken"] == 3
    assert report["renewed"] == 1


def test_urql_is_answered_as_json_unless_it_subscribes_and_may_use_get(url: str) -> None:
    assert report_of("urql-forms.mjs", url) == {"ok": True}


def test_apollos_cache_knows_what_was_streamed(url: str) -> None:
    assert report_of("apollo-cache.mjs", url, str(SCHEMA)) == {"ok": True}


def test_apollos_persisted_queries_send_a_document_once(url: str) -> None:
    assert report_of("apollo-persisted.mjs", url) == {"ok": True}


def test_relays_compiler_accepts_the_schema(artifacts: Path) -> None:
    made = {artifact.name.partition(".")[0] for artifact in artifacts.iterdir()}
    assert {"desk_sessions", "desk_messages", "deskMessagesPaginationQuery", "deskSendSubscription"} <= made


@pytest.mark.parametrize("transport", ["ws", "sse", "multipart"])
def test_relays_runtime_streams_pages_and_finds_by_id(url: str, artifacts: Path, transport: str) -> None:
    report = report_of("relay.mjs", transport, str(artifacts), url)
    assert report["sources"] >= 1
    assert "$9" in report["text"]


def test_a_client_that_reconnects_by_itself_asks_once_and_misses_nothing(url: str) -> None:
    def ask(query: str, variables: Any = None, token: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.post(url, json={"query": query, "variables": variables}, headers=headers, trust_env=False).json()

    person = {"username": "reconnecting", "email": "reconnecting@example.test", "password": PASSWORD}
    register = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }"
    token = ask(register, {"input": person})["data"]["register"]["accessToken"]
    chat = ask("mutation { newChat { id } }", token=token)["data"]["newChat"]["id"]
    report = report_of("reconnecting.mjs", url, token, chat)
    assert report["received"] >= report["events"] + 3
    messages = ask("query($id: ID!) { messages(sessionId: $id) { edges { node { id } } } }", {"id": chat}, token)
    assert len(messages["data"]["messages"]["edges"]) == 2
