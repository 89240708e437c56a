"""Pages of other origins may call the server only when CORS_ORIGINS lists them, over HTTP and WebSocket."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from settings import Settings
from tests.live_server import live_server
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang

LISTED = ("https://app.example", "http://localhost:3000")
UNLISTED = ("https://elsewhere.example", "http://app.example", "https://app.example:444", "https://app.example.evil.example",
            "https://sub.app.example", "null", "http://localhost")  # fmt: skip
PATHS = ("/graphql", "/api/v1/chat/message", "/api/v1/auth/token")
PROTOCOL = Subprotocol("graphql-transport-ws")
PASSWORD = "a_strong_password"
REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }"
SEND = (
    "subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename ... on AnswerDelta { text } } }"
)


@pytest.fixture(scope="module")
def model() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def listing(model: AzureOpenAIStandIn) -> Iterator[str]:
    """A server with both origins, one written as people write it."""
    with live_server({**model.environment(), "CORS_ORIGINS": "https://App.example:443/, http://localhost:3000"}) as url:
        yield url


@pytest.fixture(scope="module")
def bare() -> Iterator[str]:
    with live_server() as url:
        yield url


@pytest.fixture
async def http() -> Any:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


async def preflight(http: httpx.AsyncClient, url: str, origin: str, method: str = "POST") -> httpx.Response:
    asked = {"access-control-request-method": method, "access-control-request-headers": "authorization, content-type"}
    return await http.options(url, headers={"origin": origin, **asked})


@pytest.mark.parametrize("path", PATHS)
async def test_a_listed_page_may_ask(http: httpx.AsyncClient, listing: str, path: str) -> None:
    for origin in LISTED:
        answer = await preflight(http, listing + path, origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("path", PATHS)
async def test_another_page_may_not(http: httpx.AsyncClient, listing: str, path: str) -> None:
    for origin in UNLISTED:
        answer = await preflight(http, listing + path, origin)
        assert answer.status_code == 400
        assert "access-control-allow-origin" not in answer.headers
    assert (await preflight(http, listing + path, LISTED[0], method="TRACE")).status_code == 400


async def test_a_listed_page_may_reserve_a_stream_and_stop_what_runs_on_it(
    http: httpx.AsyncClient, listing: str
) -> None:
    for method in ("PUT", "DELETE"):
        asked = {
            "access-control-request-method": method,
            "access-control-request-headers": "x-graphql-event-stream-token",
        }
        answer = await http.options(f"{listing}/graphql", headers={"origin": LISTED[0], **asked})
        assert answer.status_code == 200
        assert method in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "x-graphql-event-stream-token"


async def test_answers_and_refusals_are_readable_by_listed_pages_only(http: httpx.AsyncClient, listing: str) -> None:
    graphql, rest = listing + "/graphql", listing + "/api/v1/chat/sessions"
    asks: list[tuple[str, str, dict[str, Any], int]] = [
        ("POST", graphql, {"json": {"query": "{ __typename }"}}, 200),
        ("POST", graphql, {"content": b"{}"}, 415),
        ("PATCH", graphql, {}, 405),
        ("GET", rest, {}, 401),
    ]
    for method, url, options, status in asks:
        answer = await http.request(method, url, headers={"origin": LISTED[0]}, **options)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, LISTED[0])
        assert "Origin" in answer.headers["vary"]
        for origin in UNLISTED:
            answer = await http.request(method, url, headers={"origin": origin}, **options)
            assert answer.status_code == status
            assert "access-control-allow-origin" not in answer.headers
            assert "Origin" in answer.headers["vary"]
    answer = await http.get(rest, headers={"origin": LISTED[0]})
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert answer.headers["x-request-id"]


async def test_without_the_setting_no_page_of_another_origin_may(http: httpx.AsyncClient, bare: str) -> None:
    for path in PATHS:
        answer = await preflight(http, bare + path, LISTED[0])
        assert (answer.status_code, bool(answer.headers["allow"])) == (405, True)
        assert "access-control-allow-origin" not in answer.headers
    answer = await http.get(bare + "/graphql?query={__typename}", headers={"origin": LISTED[0]})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    with pytest.raises(websockets.InvalidStatus):
        await opened(bare, LISTED[0])


async def test_a_stream_reaches_a_listed_page_as_it_is_written(
    http: httpx.AsyncClient, listing: str, model: AzureOpenAIStandIn
) -> None:
    """The model stays silent within its answer, until the page has what came before."""

    async def ask(query: str, variables: Any = None) -> Any:
        return (await http.post(url, json={"query": query, "variables": variables}, headers=headers)).json()["data"]

    url, headers = listing + "/graphql", {"origin": LISTED[0]}
    person = {"username": "ada", "email": "ada@example.test", "password": PASSWORD}
    headers["authorization"] = "Bearer " + (await ask(REGISTER, {"input": person}))["register"]["accessToken"]
    chat = (await ask("mutation { newChat { id } }"))["newChat"]["id"]
    model.otherwise = "Nano costs nine."
    model.script(Hang(after=2))
    variables = {"input": {"sessionId": chat, "text": "What is the nano pricing plan?"}}
    body, headers["accept"] = {"query": SEND, "variables": variables}, "text/event-stream"
    async with http.stream("POST", url, json=body, headers=headers) as response:
        assert response.headers["access-control-allow-origin"] == LISTED[0]
        seen = b""
        async for chunk in response.aiter_raw():
            if b"AnswerDelta" in seen + chunk and b"AnswerDelta" not in seen:
                assert b"TurnCompleted" not in seen + chunk
                model.release()
            seen += chunk
    assert b"TurnCompleted" in seen


async def opened(base: str, origin: str | None) -> str | None:
    """The protocol of a socket that was let in. Raises InvalidStatus."""
    url = base.replace("http", "ws", 1) + "/graphql"
    page = None if origin is None else Origin(origin)
    async with connect(url, subprotocols=[PROTOCOL], origin=page, proxy=None) as socket:
        return socket.subprotocol


async def test_sockets_of_listed_pages_and_of_the_servers_own_are_let_in(listing: str) -> None:
    for origin in (*LISTED, listing, None):
        assert await opened(listing, origin) == PROTOCOL
    for origin in UNLISTED:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await opened(listing, origin)
        assert refused.value.response.status_code == 403


FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None)
"""Content types that browsers send for any page without asking the server (Fetch, "CORS-safelisted request-header")."""


async def test_no_page_can_send_a_mutation_without_asking_first(http: httpx.AsyncClient, listing: str) -> None:
    """Whether it is listed or not, and signed in or not; nothing of it runs."""
    person = {"username": "unasked", "email": "unasked@example.test", "password": PASSWORD}
    request = {"query": REGISTER, "variables": {"input": person}}
    url = listing + "/graphql"
    for origin in (*LISTED, *UNLISTED):
        headers = {"origin": origin}
        asked = {"query": REGISTER, "variables": json.dumps({"input": person})}
        for accept in ("*/*", "text/event-stream", "application/graphql-response+json"):
            answer = await http.get(url, params=asked, headers={**headers, "accept": accept})
            assert (answer.status_code, answer.headers["allow"].split(", ")[:2]) == (405, ["GET", "POST"])
        for kind in FORMS:
            kinds = {} if kind is None else {"content-type": kind}
            answer = await http.post(url, content=json.dumps(request), headers={**headers, **kinds})
            assert answer.status_code == 415
    taken = (await http.post(url, json=request)).json()
    assert taken["data"]["register"]["accessToken"], "the name is still free"


def test_origins_are_kept_as_browsers_send_them() -> None:
    origins = "https://App.Example/, http://localhost:3000,http://x.example:80 , http://[::1]:8001, *"
    made = Settings(_env_file=None, cors_origins=origins)
    assert made.cors_origins == (
        "https://app.example",
        "http://localhost:3000",
        "http://x.example",
        "http://[::1]:8001",
        "*",
    )


@pytest.mark.parametrize("text", ["app.example", "https://", "https://a.example/path", "https://a.example?x=1", "null",
                                  "https://a.example:port", "https://*.a.example", "https://ada@a.example", "localhost:3000"])  # fmt: skip
def test_what_is_no_origin_is_refused_at_start(text: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings(_env_file=None, cors_origins=text)
