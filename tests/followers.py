"""Clients of a running server that follow turns over each of the three transports, with events in one shape.

async with Follower.signed_up("http://127.0.0.1:8001") as follower:
    async for event in follower.ask("graphql-ws", chat_id): ...
    async for event in follower.resume("rest", event.turn_id, after=event.seq): ...
"""

import asyncio
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import httpx
import websockets

from tests.rest.event_frames import arriving

Transport = Literal["rest", "graphql-sse", "graphql-ws"]
TRANSPORTS: tuple[Transport, ...] = ("rest", "graphql-sse", "graphql-ws")
QUESTION = "What is the nano pricing plan?"
PASSWORD = "a_strong_password"
EVENTS = """{ __typename seq turnId ... on AnswerDelta { text }
  ... on TurnCompleted { message { text } } ... on TurnEnded { message { text } } }"""
SEND = f"subscription($input: SendMessageInput!) {{ sendMessage(input: $input) {EVENTS} }}"
RESUME = f"subscription($turn: ID!, $after: Int!) {{ resumeTurn(turnId: $turn, after: $after) {EVENTS} }}"
Operation = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """`text` is a delta's; `whole` is the stored text that the last event carries."""

    seq: int
    turn_id: int
    text: str = ""
    whole: str | None = None


@dataclass(frozen=True)
class Follower:
    """A signed-in user. Any number of its streams can be open at once; one that is not iterated is not read from the
    network either, beyond `receive_buffer` bytes."""

    base: str
    http: httpx.AsyncClient
    token: str
    receive_buffer: int

    @classmethod
    @asynccontextmanager
    async def signed_up(cls, base: str, receive_buffer: int = 2**20) -> AsyncIterator["Follower"]:
        transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)],
        )
        async with httpx.AsyncClient(base_url=base, timeout=60, transport=transport, trust_env=False) as http:
            name = f"user_{uuid4().hex[:12]}"
            account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
            assert (await http.post("/api/v1/auth/register", json=account)).status_code == 201
            granted = await http.post("/api/v1/auth/token", data={"username": name, "password": PASSWORD})
            yield cls(base, http, granted.json()["access_token"], receive_buffer)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def new_chat(self) -> int:
        made = await self.http.post("/api/v1/chat/new-chat", headers=self.headers)
        assert made.status_code == 201, made.text
        return int(made.json()["chat_id"])

    async def stored_text(self, chat_id: int) -> str:
        """Of the chat's last message."""
        listed = await self.http.get(f"/api/v1/chat/{chat_id}/messages", headers=self.headers)
        assert listed.status_code == 200, listed.text
        return str(listed.json()["items"][-1]["text"])

    def ask(self, transport: Transport, chat_id: int) -> AsyncGenerator[Event, None]:
        if transport == "rest":
            body = {"chat_id": chat_id, "message": QUESTION}
            return self._rest("POST", "/api/v1/chat/message", json=body)
        variables = {"input": {"sessionId": global_id("ChatSession", chat_id), "text": QUESTION}}
        return self._subscribe(transport, {"query": SEND, "variables": variables})

    def resume(self, transport: Transport, turn_id: int, after: int = 0) -> AsyncGenerator[Event, None]:
        if transport == "rest":
            return self._rest("GET", f"/api/v1/chat/turns/{turn_id}/events?after={after}")
        variables = {"turn": global_id("Turn", turn_id), "after": after}
        return self._subscribe(transport, {"query": RESUME, "variables": variables})

    def _subscribe(self, transport: Transport, operation: Operation) -> AsyncGenerator[Event, None]:
        return self._sse(operation) if transport == "graphql-sse" else self._socket(operation)

    async def _rest(self, method: str, path: str, **options: Any) -> AsyncGenerator[Event, None]:
        async with self.http.stream(method, path, headers=self.headers, **options) as response:
            assert response.status_code == 200, await response.aread()
            async for frame in arriving(response):
                message = frame.data.get("message")
                whole = None if message is None else message["text"]
                yield Event(frame.seq, frame.data["turn_id"], frame.data.get("text", ""), whole)

    async def _sse(self, operation: Operation) -> AsyncGenerator[Event, None]:
        headers = {**self.headers, "accept": "text/event-stream"}
        async with self.http.stream("POST", "/graphql", json=operation, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            pending = b""
            async for chunk in response.aiter_raw():
                *frames, pending = (pending + chunk).split(b"\n\n")
                for frame in frames:
                    if b"event: next\n" in frame:
                        yield event_of(json.loads(frame.partition(b"data: ")[2]))

    async def _socket(self, operation: Operation) -> AsyncGenerator[Event, None]:
        url = httpx.URL(self.base)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (url.host, url.port))
        async with websockets.connect(
            f"ws://{url.netloc.decode()}/graphql",
            sock=connection,
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
            proxy=None,
            open_timeout=60,
            max_size=None,
            max_queue=1,
        ) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": {"token": self.token}}))
            assert json.loads(await ws.recv())["type"] == "connection_ack"
            await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": operation}))
            while (message := json.loads(await ws.recv()))["type"] != "complete":
                assert message["type"] == "next", message
                yield event_of(message["payload"])


def event_of(result: dict[str, Any]) -> Event:
    """Of one GraphQL result."""
    assert "errors" not in result, result
    (told,) = result["data"].values()
    message = told.get("message")
    turn_id = int(b64decode(told["turnId"]).decode().partition(":")[2])
    return Event(told["seq"], turn_id, told.get("text", ""), None if message is None else message["text"])


def global_id(kind: str, key: int) -> str:
    return b64encode(f"{kind}:{key}".encode()).decode()


def checked(events: list[Event]) -> str:
    """The text of a whole stream, which has no gap, and whose deltas are what is stored."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    text = "".join(event.text for event in events)
    assert events[-1].whole == text
    return text
