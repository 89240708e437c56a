"""The one error body, on every status that the contract names."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

import domain.errors
from domain.errors import BadUserInput, ChatBusy, DeskError, ErrorCode, RateLimited
from domain.services import Services
from rest.app import create_rest
from rest.errors import RETRY_AFTER, STATUS
from settings import Settings
from tests.rest.conftest import User

CONTRACT = {
    401: {"UNAUTHENTICATED"},
    403: {"FORBIDDEN"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    406: {"NOT_ACCEPTABLE"},
    409: {"USERNAME_TAKEN", "EMAIL_TAKEN", "CHAT_BUSY", "IDEMPOTENCY_MISMATCH"},
    413: {"PAYLOAD_TOO_LARGE"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    422: {"BAD_USER_INPUT", "CONTENT_FILTERED"},
    429: {"RATE_LIMITED"},
    500: {"INTERNAL"},
    503: {"MODEL_UNAVAILABLE", "SEARCH_UNAVAILABLE", "DATABASE_UNAVAILABLE", "SERVICE_UNAVAILABLE"},
}
EVERY_ERROR = [kind for kind in vars(domain.errors).values() if isinstance(kind, type) and issubclass(kind, DeskError)]


def check_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body's `error`, after all that is the same for every error was checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["code", "message", "retryable", "request_id", "details"]
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    assert ("www-authenticate" in response.headers) is (status == 401)
    assert ("retry-after" in response.headers) is (status in (429, 503))
    return error


def failing_with(error: Exception) -> ASGIApp:
    """The face over a desk that cannot be had."""

    def services() -> Services:
        raise error

    return create_rest(services, Settings(_env_file=None))


async def get_me(app: ASGIApp, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        return await client.get("/auth/me", headers=headers)


def test_every_code_has_the_contracts_status() -> None:
    assert STATUS.keys() == set(ErrorCode), "a code without a status"
    by_status: dict[int, set[str]] = {}
    for code, status in STATUS.items():
        by_status.setdefault(int(status), set()).add(code)
    assert by_status == CONTRACT


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
async def test_every_error_of_the_domain_has_the_one_body(kind: Callable[..., DeskError]) -> None:
    made: dict[Any, Callable[[], DeskError]] = {
        ChatBusy: lambda: ChatBusy(7),
        RateLimited: lambda: RateLimited(42),
        BadUserInput: lambda: BadUserInput(fields={"title": "is \ud800 \x00"}),
    }
    error = made.get(kind, kind)()
    response = await get_me(failing_with(error))
    body = check_error(response, STATUS[error.code], error.code)
    assert (body["retryable"], body["details"]) == (error.retryable, error.details)
    if response.status_code in (429, 503):
        assert response.headers["retry-after"] == ("42" if kind is RateLimited else str(RETRY_AFTER))


async def test_an_unexpected_exception_is_masked_and_logged(caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    response = await get_me(failing_with(RuntimeError("postgresql://root:hunter2@db")), **{"X-Request-ID": "seen-1"})
    error = check_error(response, 500, "INTERNAL")
    assert error["request_id"] == "seen-1"
    assert "hunter2" not in response.text
    logged = capsys.readouterr().out + caplog.text
    assert "seen-1" in logged
    assert "hunter2" in logged


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123_4.5:6/7+8=9@x", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ("<b>", False),
        ("", False),
    ],
)
async def test_a_request_id_is_kept_when_it_is_plain(http: httpx.AsyncClient, sent: str, kept: bool) -> None:
    response = await http.get("/auth/me", headers={"X-Request-ID": sent})
    error = check_error(response, 401, "UNAUTHENTICATED")
    assert (error["request_id"] == sent) is kept
    assert error["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/auth/token", "POST"),
        ("PUT", "/chat/1", "DELETE, PATCH"),
        ("PATCH", "/chat/sessions", "GET"),
        ("DELETE", "/chat/message", "POST"),
        ("POST", "/chat/turns/1/events", "GET"),
        ("OPTIONS", "/chat/agents", "GET"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
async def test_other_methods(http: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    response = await http.request(method, path)
    check_error(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/chat",
        "/chat/agents/",
        "/chat/x/messages",
        "/chat/-1/messages",
        "/chat/%00/messages",
        "/chat/%FF/messages",
        "/chat/1.5/messages",
        f"/chat/{2**63}/messages",
        f"/chat/{'9' * 5000}/messages",
        "/chat/turns/1e3/events",
        "/docs/nothing",
    ],
)
async def test_unknown_addresses(http: httpx.AsyncClient, path: str) -> None:
    check_error(await http.get(path), 404, "NOT_FOUND")


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"chat_id": 1, "message": "\xff"}',
        b'{"chat_id": 1, "message": "\\ud800"}',
        b'{"chat_id": 1, "message": "\xed\xa0\x80"}',
        b'{"chat_id": NaN, "message": "x"}',
        b'{"chat_id": Infinity, "message": "x"}',
        b'{"chat_id": 1e999, "message": "x"}',
        b'{"chat_id": %b, "message": "x"}' % (b"9" * 5000),
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[]",
        b"null",
        b"1",
        b'""',
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_bodies_that_are_not_the_json_that_is_asked_for(user: User, body: bytes) -> None:
    response = await user.call("POST", "/chat/message", content=body, headers=JSON)
    error = check_error(response, 422, "BAD_USER_INPUT")
    assert error["details"]["fields"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"chat_id": "1"}, "chat_id"),
        ({"chat_id": True}, "chat_id"),
        ({"chat_id": 1.0}, "chat_id"),
        ({"chat_id": None}, "chat_id"),
        ({"chat_id": 2**64}, "chat_id"),
        ({"message": 5}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": "x" * 8_001}, "message"),
        ({"message": "a\x00b"}, "message"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"client_message_id": 5}, "client_message_id"),
        ({"client_message_id": ""}, "client_message_id"),
        ({"agents": "pricing"}, "agents"),
        ({"agents": [1]}, "agents.0"),
        ({"agents": ["\x00"]}, "agents"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_fields_of_a_wrong_type_or_kind_are_named(
    user: User, chat_id: int, changed: dict[str, Any], field: str
) -> None:
    body = {"chat_id": chat_id, "message": "Nano?", **changed}
    error = check_error(await user.call("POST", "/chat/message", json=body), 422, "BAD_USER_INPUT")
    assert list(error["details"]["fields"]) == [field]
    assert field in error["message"]


@pytest.mark.parametrize("chat", [0, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
async def test_numbers_that_no_chat_has(user: User, chat: int) -> None:
    response = await user.call("POST", "/chat/message", json={"chat_id": chat, "message": "x"})
    check_error(response, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "nonsense"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_other_kinds_of_body(user: User, headers: dict[str, str]) -> None:
    response = await user.call("POST", "/chat/message", content=b'{"chat_id": 1, "message": "x"}', headers=headers)
    check_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_the_password_grant_is_no_json(http: httpx.AsyncClient) -> None:
    response = await http.post("/auth/token", json={"username": "x", "password": "y"})
    check_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/a+json"])
async def test_other_names_of_json(user: User, content_type: str) -> None:
    await user.ok("POST", "/chat/new-chat", 201, content=b"{}", headers={"Content-Type": content_type})


@pytest.mark.parametrize(
    ("accept", "stream", "status"),
    [
        ("*/*", True, 200),
        ("*/*", False, 200),
        ("text/event-stream", True, 200),
        ("text/event-stream", False, 406),
        ("application/json", True, 406),
        ("application/json", False, 200),
        ("text/*;q=0.5", True, 200),
        ("text/event-stream;q=0, */*", True, 406),
        ("text/html, application/json;q=0", False, 406),
    ],
)
async def test_an_answer_that_the_client_rules_out_is_not_begun(
    user: User, chat_id: int, accept: str, stream: bool, status: int
) -> None:
    body = {"chat_id": chat_id, "message": "What is the nano pricing plan?", "stream": stream}
    response = await user.call("POST", "/chat/message", json=body, headers={"Accept": accept})
    assert response.status_code == status
    if status == 406:
        check_error(response, 406, "NOT_ACCEPTABLE")
        assert (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"] == []


async def test_other_routes_answer_in_json_only(user: User) -> None:
    check_error(await user.call("GET", "/chat/agents", headers={"Accept": "text/html"}), 406, "NOT_ACCEPTABLE")
    assert (await user.call("GET", "/chat/agents", headers={"Accept": ""})).status_code == 200


async def test_bodies_over_the_limit_are_refused_announced_or_not(user: User) -> None:
    """The server of these tests takes 65,536 bytes."""

    async def endless() -> Any:
        for _ in range(20):
            yield b'"' + b"x" * 65_536

    fits = await user.call("POST", "/chat/new-chat", content=b"{}" + b" " * 65_534, headers=JSON)
    assert fits.status_code == 201
    for content in (b" " * 65_537, endless()):
        response = await user.call("POST", "/chat/new-chat", content=content, headers=JSON)
        check_error(response, 413, "PAYLOAD_TOO_LARGE")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await user.http.post("/auth/token", content=b"username=" + b"x" * 65_536, headers=form)
    check_error(response, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/logout"),
        ("GET", "/auth/me"),
        ("POST", "/chat/new-chat"),
        ("GET", "/chat/sessions"),
        ("PATCH", "/chat/1"),
        ("DELETE", "/chat/1"),
        ("GET", "/chat/1/messages"),
        ("GET", "/chat/messages/1/sources"),
        ("POST", "/chat/message"),
        ("POST", "/chat/chat-lg"),
        ("GET", "/chat/turns/1/events"),
        ("POST", "/chat/turns/1/stop"),
        ("GET", "/chat/agents"),
    ],
)
async def test_who_is_not_signed_in_is_told_that_first(http: httpx.AsyncClient, method: str, path: str) -> None:
    for content, headers in ((b"", {}), (b"{", JSON), (b"x" * 70_000, {"Accept": "image/png"})):
        check_error(await http.request(method, path, content=content, headers=headers), 401, "UNAUTHENTICATED")
