"""Whatever is sent, no answer is a 5xx, and every refusal has the one body."""

import json
import math
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rest.conftest import PASSWORD

TEXTS = st.text(max_size=30) | st.sampled_from(["\ud800", "\x00", "‮", "1", "", "x" * 9000, "' OR 1=1 --", "%s{0}"])
NUMBERS = (
    st.integers(-3, 3)
    | st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 1e308, math.nan, math.inf])
    | st.floats()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
NAMES = ["username", "email", "password", "title", "chat_id", "message", "stream", "client_message_id", "agents"]
BODIES = (
    st.dictionaries(st.sampled_from([*NAMES, "refresh_token"]), VALUES, max_size=8).map(json.dumps).map(str.encode)
    | VALUES.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
)
CALLS = st.sampled_from(
    [
        ("POST", "/auth/register"),
        ("POST", "/auth/token"),
        ("POST", "/auth/refresh"),
        ("POST", "/chat/new-chat"),
        ("PATCH", "/chat/1"),
        ("POST", "/chat/message"),
        ("POST", "/chat/chat-lg"),
    ]
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "cursor", "search", "after"]), TEXTS.filter(lambda t: "\ud800" not in t)
)
PATHS = st.sampled_from(
    ["/chat/sessions", "/chat/{}/messages", "/chat/messages/{}/sources", "/chat/turns/{}/events", "/chat/turns/{}/stop"]
)
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    """Signed in, and not asynchronous: hypothesis is not."""
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
        body = {"username": "fuzz", "email": "fuzz@example.com", "password": PASSWORD}
        assert http.post("/auth/register", json=body).status_code == 201
        grant = http.post("/auth/token", data={"username": "fuzz", "password": PASSWORD}).json()
        http.headers["Authorization"] = f"Bearer {grant['access_token']}"
        http.post("/chat/new-chat")
        yield http


def check(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert list(response.json()) == ["error"]
        assert response.json()["error"]["request_id"] == response.headers["x-request-id"]


@FUZZ
@given(call=CALLS, body=BODIES, form=st.booleans())
def test_bodies(client: httpx.Client, call: tuple[str, str], body: bytes, form: bool) -> None:
    method, path = call
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    check(client.request(method, path, content=body, headers={"Content-Type": kind}))


@FUZZ
@given(path=PATHS, number=NUMBERS | TEXTS.filter(lambda t: "\ud800" not in t), query=QUERIES)
def test_paths_and_queries(client: httpx.Client, path: str, number: object, query: dict[str, str]) -> None:
    written = httpx.QueryParams({"n": str(number)[:9000]}).get("n")
    address = path.format(httpx.URL("http://x", params={"n": written}).query.decode().removeprefix("n="))
    check(client.request("POST" if path.endswith("stop") else "GET", address, params=query))


@FUZZ
@given(
    value=st.lists(st.sampled_from([*range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=60).map(
        lambda b: bytes(b).strip()
    ),
    name=st.sampled_from(
        ["Authorization", "Accept", "Content-Type", "X-Request-ID", "Last-Event-ID", "Content-Encoding"]
    ),
)
def test_headers(client: httpx.Client, name: str, value: bytes) -> None:
    response = client.request(
        "POST", "/chat/new-chat", content=b"{}", headers={b"Content-Type": b"application/json", name.encode(): value}
    )
    if not response.text.startswith("Invalid HTTP"):  # uvicorn's own 400, before any application
        check(response)
    check(client.get("/chat/turns/1/events", headers={"Last-Event-ID": value.hex()}))
