"""Routes whose functions are called without FastAPI's solving: they get, and answer, what FastAPI would have them."""

import itertools
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import Message

from domain.model import Viewer
from rest.bodies import MessageBody, NewChatBody
from rest.direct import direct_call
from rest.envelope import Envelope
from rest.errors import on_validation_error
from rest.requests import DeskRequest
from rest.route import DeskRoute
from rest.shapes import Json
from rest.viewer import SignedIn

ANN = Viewer(1, "ann", "login", datetime.now(UTC) + timedelta(hours=1))
GOOD = {"chat_id": 1, "message": "Hi — ü 😀"}
CHANGES: list[dict[str, Any]] = [
    {}, {"stream": False}, {"stream": "no"}, {"stream": 7}, {"chat_id": "12"}, {"chat_id": 1.0}, {"chat_id": 1.5},
    {"chat_id": None}, {"chat_id": 2**63}, {"message": ""}, {"message": 3}, {"message": None},
    {"client_message_id": "key"}, {"client_message_id": ""}, {"client_message_id": 5}, {"agents": []},
    {"agents": ["pricing"]}, {"agents": "pricing"}, {"agents": [1]}, {"on_busy": "ENQUEUE"}, {"on_busy": "wait"},
    {"unknown": 1}, {"title": "x"},
]  # fmt: skip
BODIES = [
    *(orjson.dumps(GOOD | change) for change in CHANGES),
    b"{}", b"[]", b"null", b"1", b'"text"', b"", b"{", b"nonsense", b'{"chat_id": 1, "chat_id": 2, "message": "twice"}',
    b'{"chat_id": 1, "message": "\xff"}', b'{"chat_id": 1, "message": NaN}', b'{"chat_id": 1, "message": "\\ud800"}',
    b"\xef\xbb\xbf{}", b"[" * 2000, orjson.dumps({"title": "A chat"}), orjson.dumps({"title": 5}),
]  # fmt: skip
TYPES = ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/problem+json"]


async def needed(request: DeskRequest, viewer: SignedIn, body: MessageBody) -> Response:
    return Json({"who": viewer.username, "method": request.method, "body": body.model_dump()})


async def needed_and_more(request: DeskRequest, viewer: SignedIn, body: MessageBody, _more: int = 5) -> Response:
    return await needed(request, viewer, body)


async def optional(viewer: SignedIn, request: DeskRequest, body: NewChatBody | None = None) -> Response:
    return Json({"who": viewer.username, "body": None if body is None else body.model_dump()}, 201)


async def optional_and_more(
    viewer: SignedIn, request: DeskRequest, body: NewChatBody | None = None, _more: int = 5
) -> Response:
    return await optional(viewer, request, body)


@pytest.fixture
def app() -> FastAPI:
    async def authenticate(token: str | None) -> Viewer:
        return ANN

    made = FastAPI(
        middleware=[Middleware(Envelope)], exception_handlers={RequestValidationError: cast("Any", on_validation_error)}
    )
    made.router.route_class = DeskRoute
    for function in (needed, needed_and_more, optional, optional_and_more):
        made.add_api_route(f"/{function.__name__}", function, methods=["POST"])
    made.state.services = lambda: SimpleNamespace(accounts=SimpleNamespace(authenticate=authenticate))
    made.state.max_request_bytes = 1_500
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
        yield client


def test_which_are_called_so(app: FastAPI) -> None:
    routes = [route for route in app.routes if isinstance(route, DeskRoute)]
    assert [route.path for route in routes if direct_call(route) is not None] == ["/needed", "/optional"]


@pytest.mark.parametrize("path", ["/needed", "/optional"])
async def test_both_ways_are_equal(path: str, client: httpx.AsyncClient) -> None:
    statuses = set()
    for body, media_type in itertools.product(BODIES, TYPES):
        told = []
        for way in (path, f"{path}_and_more"):
            answer = await client.post(way, content=body, headers={"content-type": media_type, "x-request-id": "1"})
            told.append((answer.status_code, answer.headers, re.sub(rb'"request_id":"\w+"', b"", answer.content)))
            statuses.add(answer.status_code)
        assert told[0] == told[1], (body, media_type)
    assert len(statuses) > 1


@pytest.mark.parametrize("path", ["/needed", "/needed_and_more"])
async def test_who_leaves_amid_the_body_fails_nothing(path: str, app: FastAPI) -> None:
    received: list[Message] = [
        {"type": "http.request", "body": b'{"chat', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = list[Message]()

    async def receive() -> Message:
        return received.pop(0) if len(received) > 1 else received[0]

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "client": None}
    await app(scope, receive, send)
    assert sent[0]["status"] == 400
