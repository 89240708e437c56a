"""The three ways to a turn's events. Each is a generator of what comes on one connection, read as strictly as the
protocol writes it; it ends where the server ends the stream, and raises Lost where the connection did.

Raises Refused for an answer that is an error, and Malformed for bytes that the protocol does not allow.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from soak.observations import Seen
from tests.rest.event_frames import is_comment, read_frame

SILENT_AFTER = 20.0
"""Seconds without an event after which a follower gives a connection up. The longest silence that is in order is a
dead worker's lease and the wait for the look that finds it."""
_NAMES = {
    "TurnStarted": "turn_started",
    "RouteChosen": "route_chosen",
    "SourcesFound": "sources_found",
    "AnswerDelta": "answer_delta",
    "TurnCompleted": "turn_completed",
    "TurnEnded": "turn_ended",
}
_FIELDS = """{ __typename seq turnId ... on TurnStarted { userMessage { text } }
  ... on RouteChosen { standaloneQuestion routes { agent { name } } } ... on SourcesFound { sources { ordinal documentId } }
  ... on AnswerDelta { text } ... on TurnCompleted { message { id text } }
  ... on TurnEnded { status message { id text } } }"""
_SEND = f"subscription ($input: SendMessageInput!) {{ event: sendMessage(input: $input) {_FIELDS} }}"
_RESUME = f"subscription ($turn: ID!, $after: Int!) {{ event: resumeTurn(turnId: $turn, after: $after) {_FIELDS} }}"
_NEXT = re.compile(rb"event: next\nid: ([1-9][0-9]*)\ndata: ([^\r\n]*)|event: next\ndata: ([^\r\n]*)")
_COMPLETE = b"event: complete\ndata:"


class Lost(Exception):
    """The connection broke."""


class Silent(Exception):
    """Nothing came for SILENT_AFTER seconds."""


class Malformed(Exception):
    """What came is not what the protocol says."""


class Refused(Exception):
    def __init__(self, code: str, retryable: bool = False, turn_id: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable
        self.turn_id = turn_id


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a follower wants: a turn by its id (`turn_id`), or by sending its message (again)."""

    token: str
    chat_id: int
    text: str
    key: str
    turn_id: int | None
    after: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def operation(self) -> dict[str, Any]:
        if self.turn_id is not None:
            return {"query": _RESUME, "variables": {"turn": global_id("Turn", self.turn_id), "after": self.after}}
        message = {"sessionId": global_id("ChatSession", self.chat_id), "text": self.text, "after": self.after}
        return {"query": _SEND, "variables": {"input": {**message, "clientMessageId": self.key}}}


Events = AsyncGenerator[Seen, None]
Transport = Callable[[aiohttp.ClientSession, str, Wanted], Events]


async def rest(http: aiohttp.ClientSession, base: str, wanted: Wanted) -> Events:
    """Sending again has no cursor here: it replays from the first event."""
    chat = f"{base}/api/v1/chat"
    if wanted.turn_id is None:
        body = {"chat_id": wanted.chat_id, "message": wanted.text, "client_message_id": wanted.key}
        request = http.post(f"{chat}/message", json=body, headers=wanted.headers)
    else:
        headers = {**wanted.headers, "Last-Event-ID": str(wanted.after)}
        request = http.get(f"{chat}/turns/{wanted.turn_id}/events", headers=headers)
    async with aclosing(_frames(request)) as frames:
        async for frame in frames:
            try:
                event = read_frame(frame)
            except AssertionError as error:
                raise Malformed(repr(frame)) from error
            yield _seen(event.name, event.data)


async def graphql_sse(http: aiohttp.ClientSession, base: str, wanted: Wanted) -> Events:
    headers = {**wanted.headers, "Accept": "text/event-stream"}
    completed = False
    async with aclosing(_frames(http.post(f"{base}/graphql", json=wanted.operation, headers=headers))) as frames:
        async for frame in frames:
            if frame == _COMPLETE:
                completed = True
                continue
            match = _NEXT.fullmatch(frame)
            if match is None or completed:
                raise Malformed(repr(frame))
            event = _result(json.loads(match[2] or match[3]))
            if match[1] is None or event["seq"] != int(match[1]):
                raise Malformed(repr(frame))
            yield _seen(_NAMES[event["__typename"]], event)
    if not completed:
        raise Malformed("the stream ended without `event: complete`")


async def graphql_ws(http: aiohttp.ClientSession, base: str, wanted: Wanted) -> Events:
    try:
        async with http.ws_connect(f"{base}/graphql", protocols=["graphql-transport-ws"], max_msg_size=0) as socket:
            await socket.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {wanted.token}"}})
            if (await _message(socket)).get("type") != "connection_ack":
                raise Malformed("no connection_ack")
            await socket.send_json({"type": "subscribe", "id": "1", "payload": wanted.operation})
            while (message := await _message(socket))["type"] != "complete":
                if message["type"] == "error":
                    raise _refusal(message["payload"])
                if message["type"] == "next":
                    event = _result(message["payload"])
                    yield _seen(_NAMES[event["__typename"]], event)
    except TimeoutError as error:
        raise Silent from error
    except (aiohttp.ClientError, OSError) as error:
        raise Lost(str(error)) from error


TRANSPORTS: Mapping[str, Transport] = {"REST": rest, "GraphQL SSE": graphql_sse, "GraphQL WebSocket": graphql_ws}


def global_id(kind: str, key: int) -> str:
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


async def call(
    http: aiohttp.ClientSession, method: str, url: str, token: str | None = None, **options: Any
) -> tuple[int, Any]:
    """One plain request: status and JSON. Raises Lost."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with http.request(method, url, headers=headers, **options) as response:
            return response.status, await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise Lost(str(error)) from error


async def _frames(request: Any) -> AsyncGenerator[bytes, None]:
    """The whole frames of a stream, comments left out. What a broken connection leaves of one is not read."""
    try:
        async with request as response:
            if response.content_type != "text/event-stream":
                raise _refusal_of_body(response.status, await response.read())
            pending = b""
            while True:
                async with asyncio.timeout(SILENT_AFTER):
                    chunk = await response.content.readany()
                if not chunk:
                    break
                *frames, pending = (pending + chunk).split(b"\n\n")
                for frame in frames:
                    if not is_comment(frame):
                        yield frame
            if pending:
                raise Malformed(f"the stream ends within a frame: {pending!r}")
    except TimeoutError as error:
        raise Silent from error
    except (aiohttp.ClientError, OSError) as error:
        raise Lost(str(error)) from error


async def _message(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    message = await socket.receive(SILENT_AFTER)
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise Lost(f"the socket closed: {message.type.name} {socket.close_code}")
    found: dict[str, Any] = json.loads(message.data)
    return found


def _result(payload: dict[str, Any]) -> dict[str, Any]:
    if payload.get("errors"):
        raise _refusal(payload["errors"])
    event: dict[str, Any] = payload["data"]["event"]
    return {**event, "turn_id": _row_id(event["turnId"])}


def _row_id(of: str) -> int:
    return int(base64.b64decode(of).decode().partition(":")[2])


def _refusal(errors: list[dict[str, Any]]) -> Refused:
    said = errors[0].get("extensions", {})
    running = said.get("turnId") or said.get("details", {}).get("turnId") or said.get("details", {}).get("turn_id")
    running = _row_id(running) if isinstance(running, str) and not running.isdecimal() else running
    return Refused(str(said.get("code") or errors[0]), bool(said.get("retryable")), running and int(running))


def _refusal_of_body(status: int, body: bytes) -> Refused:
    try:
        found = json.loads(body)
        if "errors" in found:
            return _refusal(found["errors"])
        error = found["error"]
        return Refused(str(error["code"]), bool(error["retryable"]), error["details"].get("turn_id"))
    except (ValueError, KeyError, TypeError):
        return Refused(f"{status} {body[:200]!r}")


def _seen(kind: str, event: Mapping[str, Any]) -> Seen:
    match kind:
        case "turn_started":
            said = str((event.get("user_message") or event["userMessage"])["text"])
        case "route_chosen":
            standalone = event["standaloneQuestion"] if "standaloneQuestion" in event else event["standalone_question"]
            said = f"{standalone} → {', '.join(route['agent']['name'] for route in event['routes'])}"
        case "sources_found":
            document = "documentId" if "turnId" in event else "document_id"
            said = " ".join(f"{source['ordinal']}:{source[document]}" for source in event["sources"])
        case "answer_delta":
            said = str(event["text"])
        case _:
            said = str(event["message"]["text"])
    status = "COMPLETED" if kind == "turn_completed" else str(event.get("status", ""))
    message_id = event["message"]["id"] if "message" in event else 0
    message_id = _row_id(message_id) if isinstance(message_id, str) else message_id
    return Seen(int(event["seq"]), kind, int(event["turn_id"]), said, time.monotonic(), status, message_id)
