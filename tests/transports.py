"""A signed-in user of real servers, who follows turns on all three transports."""

import asyncio
import base64
import json
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from tests.live_server import Running
from tests.rest.event_frames import RESTART, is_comment, read_frame

QUESTION = "What is the nano pricing plan?"
PATIENCE = 30.0
"""Seconds for what should come at once, on a busy machine."""
FOLLOW = """subscription($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) {
  __typename seq
  ... on AnswerDelta { text }
  ... on TurnCompleted { message { text } }
  ... on TurnEnded { status message { text } error { code retryable } }
} }"""


@dataclass
class Told:
    """What one follower got."""

    seqs: list[int] = field(default_factory=list)
    text: str = ""
    last: dict[str, Any] | None = None
    """The turn's last event."""
    closing: dict[str, Any] | None = None
    """The extensions of the error that ended the stream; on REST there is only the code."""
    close_code: int | None = None

    def add(self, event: dict[str, Any]) -> None:
        self.seqs.append(event["seq"])
        self.text += event.get("text", "")
        if "message" in event:
            self.last = event

    @property
    def cursor(self) -> int:
        return self.seqs[-1]


@dataclass(frozen=True)
class Server:
    url: str
    process: Running
    database: Path

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """The exit status, once the process is gone."""
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    def turns(self) -> list[tuple[str, str]]:
        """The status and the answer's text of every turn in the database, oldest first."""
        query = "SELECT t.status, m.text FROM turns t JOIN messages m ON m.turn_id = t.id AND m.role = 'ASSISTANT' ORDER BY t.id"
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query).fetchall()


@dataclass(frozen=True)
class User:
    """Signed in; `on` is the same user on another server."""

    server: Server
    http: httpx.AsyncClient
    token: str

    def on(self, server: Server) -> "User":
        return User(server, self.http, self.token)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def at(self, path: str) -> str:
        return f"{self.server.url}{path}"

    async def new_chat(self) -> int:
        made = await self.http.post(self.at("/api/v1/chat/new-chat"), headers=self.headers)
        return int(made.json()["chat_id"])

    async def post_message(self, chat_id: int, key: str | None = None) -> httpx.Response:
        """The whole answer, or the refusal."""
        body = {"chat_id": chat_id, "message": QUESTION, "client_message_id": key}
        return await self.http.post(self.at("/api/v1/chat/message"), json=body, headers=self.headers)

    async def begin(self, chat_id: int, key: str | None = None) -> int:
        """The id of a turn whose first event has come."""
        body = {"chat_id": chat_id, "message": QUESTION, "client_message_id": key}
        url = self.at("/api/v1/chat/message")
        async with self.http.stream("POST", url, json=body, headers=self.headers) as response:
            assert response.status_code == 200, await response.aread()
            async for frame in _frames(response):
                return int(read_frame(frame).data["turn_id"])
        raise AssertionError("no event")

    # ------------------------------------------------------------ following, once for each transport

    async def follow_rest(self, turn_id: int, after: int, told: Told) -> None:
        url = self.at(f"/api/v1/chat/turns/{turn_id}/events?after={after}")
        async with self.http.stream("GET", url, headers=self.headers) as response:
            assert response.status_code == 200
            async for frame in _frames(response):
                assert told.closing is None
                if frame == RESTART:
                    told.closing = {"code": "SERVICE_UNAVAILABLE", "retryable": True, "after": told.cursor}
                elif not is_comment(frame):
                    told.add(read_frame(frame).data)

    async def follow_sse(self, turn_id: int, after: int, told: Told) -> None:
        body = {"query": FOLLOW, "variables": {"turn": global_id("Turn", turn_id), "after": after}}
        headers = {**self.headers, "Accept": "text/event-stream"}
        async with self.http.stream("POST", self.at("/graphql"), json=body, headers=headers) as response:
            blocks = [frame.decode() async for frame in self._next(response, told)]
        assert blocks == ["event: complete\ndata:"]

    async def _next(self, response: httpx.Response, told: Told) -> AsyncIterator[bytes]:
        """Takes in the results, and yields what is none."""
        async for frame in _frames(response):
            if is_comment(frame):
                continue
            *_, data = frame.decode().split("\n")
            if not frame.count(b"event: next\n"):
                yield frame
            else:
                _take(json.loads(data.removeprefix("data: ")), told)

    async def follow_socket(self, turn_id: int, after: int, told: Told) -> None:
        async with self.socket({"authorization": f"Bearer {self.token}"}) as connection:
            variables = {"turn": global_id("Turn", turn_id), "after": after}
            await subscribe(connection, FOLLOW, variables)
            try:
                while True:
                    message = json.loads(await connection.recv())
                    if message["type"] == "complete":
                        return
                    assert told.closing is None
                    payload = message["payload"]
                    _take({"errors": payload} if message["type"] == "error" else payload, told)
            except websockets.ConnectionClosed:
                told.close_code = connection.close_code

    def socket(self, payload: dict[str, str] | None) -> "_Socket":
        return _Socket(self.server.url.replace("http", "ws", 1) + "/graphql", payload)

    @property
    def transports(self) -> list[Callable[[int, int, Told], Any]]:
        return [self.follow_rest, self.follow_sse, self.follow_socket]


class _Socket:
    """A connection that was acknowledged."""

    def __init__(self, url: str, payload: dict[str, str] | None) -> None:
        self._connecting = websockets.connect(url, subprotocols=["graphql-transport-ws"], proxy=None)  # type: ignore[list-item]
        self._payload = payload

    async def __aenter__(self) -> ClientConnection:
        connection = await self._connecting.__aenter__()
        await connection.send(json.dumps({"type": "connection_init", "payload": self._payload}))
        assert json.loads(await connection.recv()) == {"type": "connection_ack"}
        return connection

    async def __aexit__(self, *failure: Any) -> None:
        await self._connecting.__aexit__(*failure)


async def subscribe(connection: ClientConnection, query: str, variables: dict[str, Any]) -> None:
    payload = {"query": query, "variables": variables}
    await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))


async def _frames(response: httpx.Response) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in response.aiter_raw():
        *frames, pending = (pending + chunk).split(b"\n\n")
        for frame in frames:
            yield frame
    assert pending == b""


def _take(result: dict[str, Any], told: Told) -> None:
    if "errors" in result:
        assert "data" not in result
        ((told.closing),) = [error["extensions"] for error in result["errors"]]
    else:
        told.add(result["data"]["resumeTurn"])


def global_id(kind: str, key: int) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()
