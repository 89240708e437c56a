"""What a client is told of failures, and what the log is: on a real server whose database loses a table."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from structlog.testing import capture_logs

from db.engine import Database
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.state import Draft, TurnContext
from graph.view import create_graphql
from settings import Settings
from tests.graph.desk import PASSWORD, Desk, global_id
from tests.graph.test_versions import streamed
from tests.live_server import live_server
from tests.stores import Stores, outcome, progress, source

REGISTER = """mutation($input: RegisterInput!) { register(input: $input) { accessToken user { id } } }"""
SOURCES = """query($one: ID!, $other: ID!) { viewer { username }
  one: node(id: $one) { ... on Message { sources { title } } }
  other: node(id: $other) { ... on Message { sources { title } } } }"""
RESUME = "subscription($id: ID!) { resumeTurn(turnId: $id) { __typename seq } }"
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename seq
  ... on RouteChosen { routes { agent { title } } } } }"""
MASKED = {"code": "INTERNAL", "retryable": False}
INSIDE = ("sqlite", "select", "table", "traceback", "operational", "error:", ".py", "exception", "gone")
"""What no client hears of."""


@dataclass(frozen=True)
class Server:
    url: str
    file: Path
    log: Path
    token: str
    answers: tuple[int, ...]
    running: int
    """A turn of another server's, which this one follows in the database."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @contextmanager
    def broken(self) -> Iterator[None]:
        """While a table is missing."""
        self._run("ALTER TABLE sources RENAME TO gone")
        try:
            yield
        finally:
            self._run("ALTER TABLE gone RENAME TO sources")

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file, timeout=30)) as database:
            database.execute(statement)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.startswith("{")]

    async def results(self, query: str, variables: dict[str, Any]) -> AsyncIterator[Any]:
        """Of an operation over server-sent events, to its `complete`."""
        headers = {**self.headers, "Accept": "text/event-stream"}
        body = {"query": query, "variables": variables}
        completed = False
        async with (
            httpx.AsyncClient(timeout=30, trust_env=False) as http,
            http.stream("POST", f"{self.url}/graphql", json=body, headers=headers) as response,
        ):
            async for line in response.aiter_lines():
                completed = completed or line == "event: complete"
                if line.startswith("data: ") and not completed:
                    yield json.loads(line.removeprefix("data: "))
        assert completed

    async def messages(self, query: str, variables: dict[str, Any]) -> AsyncIterator[Any]:
        """The payloads of an operation over a WebSocket, to its `complete` or `error`."""
        address = f"{self.url.replace('http', 'ws', 1)}/graphql"
        async with websockets.connect(address, subprotocols=["graphql-transport-ws"], proxy=None) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init", "payload": {"token": self.token}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            payload = {"query": query, "variables": variables}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            while (message := json.loads(await socket.recv()))["type"] == "next":
                yield message["payload"]
            if message["type"] == "error":
                yield {"errors": message["payload"]}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """The server's URL, its database and its log."""
    folder = tmp_path_factory.mktemp("errors")
    settings = {"LOG_FORMAT": "json", "DATA_DIR": str(folder)}
    with live_server(settings, tracebacks=True, log=folder / "server.log") as url:
        (file,) = folder.glob("*.sqlite3")
        yield url, file, folder / "server.log"


@pytest.fixture
async def server(address: tuple[str, Path, Path], request: pytest.FixtureRequest) -> Server:
    url, file, log = address
    name = f"user{abs(hash(request.node.name))}"  # each test a user of its own
    given = {"username": name, "email": f"{name}@example.test", "password": PASSWORD}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        answer = (await http.post(f"{url}/graphql", json={"query": REGISTER, "variables": {"input": given}})).json()
    async with Database.open(f"sqlite+aiosqlite:///{file}") as database:
        stores = Stores.on(database)
        found = await stores.accounts.find_credentials(name)
        assert found is not None
        chat, busy = await stores.chat(found.user), await stores.chat(found.user)
        begun = [await stores.begin(chat_of_two, found.user) for chat_of_two in (chat, busy)]
        for turn in begun:
            await stores.turns.finish_turn(turn.turn.id, outcome(progress(turn, "Yes [1].", source(turn, 1))))
        running = await stores.begin(busy, found.user)
    return Server(
        url,
        file,
        log,
        answer["data"]["register"]["accessToken"],
        tuple(turn.answer.id for turn in begun),
        running.turn.id,
    )


def check_masked(server: Server, errors: list[Any], before: int) -> None:
    """All errors are masked, under one request id that leads to the one line that was logged, with its traceback."""
    assert errors
    (request_id,) = {error["extensions"].pop("request_id") for error in errors}
    assert all(error["extensions"] == MASKED for error in errors)
    assert {error["message"] for error in errors} == {"Something went wrong on our side."}
    told = json.dumps(errors).lower()
    assert [inside for inside in INSIDE if inside in told] == []
    logged = server.lines()[before:]
    assert [line["request_id"] for line in logged if "exception" in line] == [request_id]
    assert server.log.read_text("utf-8").count(request_id) == 1
    (line,) = [line for line in logged if "exception" in line]
    assert (line["event"], line["level"]) == ("graphql_failed", "error")
    assert "Traceback" in line["exception"]
    assert "no such table: sources" in line["exception"]


async def test_over_http_a_failure_is_masked_beside_what_did_not_fail(server: Server) -> None:
    before = len(server.lines())
    one, other = (global_id("Message", key) for key in server.answers)
    body = {"query": SOURCES, "variables": {"one": one, "other": other}}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        with server.broken():
            response = await http.post(f"{server.url}/graphql", json=body, headers=server.headers)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["data"]["one"], answer["data"]["other"]) == (None, None)
    assert answer["data"]["viewer"]["username"]
    assert [error["path"][0] for error in answer["errors"]] == ["one", "other"]
    check_masked(server, answer["errors"], before)


@pytest.mark.parametrize("transport", ["results", "messages"])
async def test_a_stream_that_cannot_begin_is_masked(server: Server, transport: str) -> None:
    before = len(server.lines())
    variables = {"id": global_id("Turn", server.running)}
    with server.broken():
        (refused,) = [result async for result in getattr(server, transport)(RESUME, variables)]
    check_masked(server, refused["errors"], before)


@pytest.mark.parametrize("transport", ["results", "messages"])
async def test_a_stream_that_fails_after_it_began_ends_masked(server: Server, transport: str) -> None:
    before = len(server.lines())
    told = getattr(server, transport)(RESUME, {"id": global_id("Turn", server.running)})
    assert (await anext(told))["data"]["resumeTurn"]["__typename"] == "TurnStarted"
    with server.broken():
        (last,) = [result async for result in told]
    check_masked(server, last["errors"], before)


class _Forgetful(AgentCatalog):
    def get(self, name: str) -> Agent:
        raise ZeroDivisionError("the secret of the house")


async def test_a_field_that_fails_within_an_event_ends_no_stream(
    desk: Desk, settings: Settings, token: str, chat: str
) -> None:
    services = replace(desk.services, agents=_Forgetful(desk.services.agents.all))
    face = httpx.ASGITransport(create_graphql(lambda: services, settings))
    async with httpx.AsyncClient(transport=face, base_url="http://desk") as http:
        with capture_logs() as logs:
            body = {"query": SEND, "variables": {"input": {"sessionId": chat, "text": "What does Nano cost?"}}}
            headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
            lines = (await http.post("/graphql", json=body, headers=headers)).text.splitlines()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert "event: complete" in lines
    (failed,) = [result for result in told if "errors" in result]
    assert failed["data"] is None
    whole = [result["data"]["sendMessage"] for result in told if result["data"] is not None]
    assert [event["seq"] for event in whole] == [1, *range(3, len(told) + 1)], "the second event chose the route"
    assert whole[-1]["__typename"] == "TurnCompleted"
    (error,), (line,) = failed["errors"], logs
    assert error["extensions"].pop("request_id") == line["request_id"]
    assert (error["extensions"], error["path"]) == (MASKED, ["sendMessage", "routes", 0, "agent"])
    assert "secret" not in json.dumps(told)
    assert isinstance(line["exc_info"], ZeroDivisionError)


async def test_what_the_client_did_wrong_is_told_and_not_logged(server: Server) -> None:
    before = len(server.lines())
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        for query, code, word in (
            ("{ viewer { id }", "GRAPHQL_PARSE_FAILED", "Expected Name, found <EOF>"),
            ("{ viewers { id } }", "GRAPHQL_VALIDATION_FAILED", "viewers"),
            ("{ sessions(first: 101) { edges { cursor } } }", "BAD_USER_INPUT", "between 0 and 100"),
        ):
            response = await http.post(f"{server.url}/graphql", json={"query": query}, headers=server.headers)
            (error,) = response.json()["errors"]
            assert error["extensions"]["code"] == code
            assert word in error["message"]
            assert error["locations"]
    assert server.lines()[before:] == []


async def test_an_answer_that_fails_names_the_turn_that_the_log_line_is_found_by(
    desk: Desk, token: str, chat: str
) -> None:
    async def fails(context: TurnContext) -> Draft:
        context.recorder.delta("Well, ")
        raise ZeroDivisionError("the secret of the house")

    desk.workflow = fails
    query = """subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename turnId
      ... on TurnEnded { status error { code message retryable } } } }"""
    with capture_logs() as logs:
        told = await streamed(desk, query, {"input": {"sessionId": chat, "text": "Why?"}}, token)
    assert "secret" not in json.dumps(told)
    last = told[-1]["data"]["sendMessage"]
    assert last["error"] == {"code": "INTERNAL", "message": "Something went wrong on our side.", "retryable": False}
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], global_id("Turn", line["turn_id"])) == ("turn_failed", last["turnId"])
    assert isinstance(line["exc_info"], ZeroDivisionError)
