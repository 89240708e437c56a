"""GraphQL over HTTP: what is a request, how it is answered, and that nothing a client sends is a 500."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.agents.catalog import Agent, AgentCatalog
from domain.services import Services
from graph.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, choose
from graph.view import GraphQLView
from settings import Settings
from tests.graph.desk import PASSWORD, Desk, code_of

URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
LOGIN = f'mutation {{ login(input: {{username: "ada", password: "{PASSWORD}"}}) {{ accessToken }} }}'


async def test_a_query_is_answered_over_post_and_get(desk: Desk, token: str) -> None:
    bearer = {"authorization": f"Bearer {token}"}
    query = "query Me($yes: Boolean!) { viewer { username @include(if: $yes) } }"
    members = {"query": query, "operationName": "Me", "variables": {"yes": True}}
    posted = await desk.post(members, token)
    parameters = {"query": query, "operationName": "Me", "variables": '{"yes": true}', "extensions": ""}
    got = await desk.http.get(desk.url, params=parameters, headers=bearer)
    for response in (posted, got):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.json() == {"data": {"viewer": {"username": "ada"}}}


async def test_mutations_and_subscriptions_are_not_sent_with_get(desk: Desk) -> None:
    refused = await desk.http.get(desk.url, params={"query": LOGIN})
    assert (refused.status_code, refused.headers["allow"], code_of(refused.json())) == (
        405,
        "GET, POST, PUT, DELETE",
        "METHOD_NOT_ALLOWED",
    )
    hidden = f"mutation A {{ logout }} query B {{ viewer {{ id }} }} {LOGIN.replace('mutation', 'mutation C')}"
    refused = await desk.http.get(desk.url, params={"query": hidden})
    assert "data" not in refused.json()
    for accept in (JSON, EVENT_STREAM):
        parameters = {"query": hidden, "operationName": "C"}
        refused = await desk.http.get(desk.url, params=parameters, headers={"accept": accept})
        assert refused.status_code == 405


@pytest.mark.parametrize("method", ["PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(desk: Desk, method: str) -> None:
    refused = await desk.http.request(method, desk.url)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST, PUT, DELETE")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_USER_INPUT"),
        (b"nonsense", 400, "BAD_USER_INPUT"),
        (b'{"query": "\xff"}', 400, "BAD_USER_INPUT"),
        ("{}".encode("utf-16"), 400, "BAD_USER_INPUT"),
        (b"[]", 400, "BAD_USER_INPUT"),
        (b'[{"query": "{ viewer { id } }"}]', 400, "BAD_USER_INPUT"),
        (b'"text"', 400, "BAD_USER_INPUT"),
        (b"null", 400, "BAD_USER_INPUT"),
        (b"NaN", 400, "BAD_USER_INPUT"),
        (b"{}", 400, "BAD_USER_INPUT"),
        (b'{"query": null}', 400, "BAD_USER_INPUT"),
        (b'{"query": ""}', 400, "BAD_USER_INPUT"),
        (b'{"query": 1}', 400, "BAD_USER_INPUT"),
        (b'{"query": ["{ viewer { id } }"]}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "operationName": 1}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "variables": []}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "variables": "{}"}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "extensions": 1}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "variables": {"a": NaN}}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } }", "variables": {"a": "\\ud83d"}}', 400, "BAD_USER_INPUT"),
        (b'{"query": "{ viewer { id } } # \\udc00"}', 400, "BAD_USER_INPUT"),
        (b"[" * 60_000, 400, "BAD_USER_INPUT"),
        (
            b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}",
            400,
            "BAD_USER_INPUT",
        ),
        (b'{"query": "' + b"x" * 70_000 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_what_is_no_request_is_refused_in_the_form_of_an_answer(
    desk: Desk, body: bytes, status: int, code: str
) -> None:
    for accept in (JSON, GRAPHQL_JSON):
        headers = {"content-type": "application/json", "accept": accept}
        refused = await desk.http.post(desk.url, content=body, headers=headers)
        assert refused.status_code == status
        assert refused.headers["content-type"].startswith(accept)
        answer = refused.json()
        assert list(answer) == ["errors"]
        assert code_of(answer) == code
        assert answer["errors"][0]["extensions"]["request_id"]


async def test_a_body_of_unknown_length_is_bounded_too(desk: Desk) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 4_096

    refused = await desk.http.post(desk.url, content=endless(), headers={"content-type": "application/json"})
    assert (refused.status_code, code_of(refused.json())) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql", "",
     "text/plain; application/json", "application/json; charset=latin-1"],
)  # fmt: skip
async def test_a_form_of_another_page_cannot_ask_in_a_users_name(desk: Desk, content_type: str) -> None:
    body = json.dumps({"query": "{ viewer { id } }"}).encode()
    refused = await desk.http.post(desk.url, content=body, headers={"content-type": content_type})
    assert (refused.status_code, code_of(refused.json())) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{ viewer {", None, "GRAPHQL_PARSE_FAILED"),
        ("# nothing", None, "GRAPHQL_PARSE_FAILED"),
        ("{a" * 5_000 + "}" * 5_000, None, "GRAPHQL_PARSE_FAILED"),
        ("{" + "a " * 20_000 + "}", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ session(id: {}) { id } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ a: viewer { id } ...f } fragment f on Query { ...f }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int!) { sessions(first: $n) { edges { cursor } } }", None, "BAD_USER_INPUT"),
        ("query($n: Int!) { sessions(first: $n) { edges { cursor } } }", {"n": "many"}, "BAD_USER_INPUT"),
        ("query($n: Int!) { sessions(first: $n) { edges { cursor } } }", {"n": 2**31}, "BAD_USER_INPUT"),
        ("query A { viewer { id } } query B { viewer { id } }", None, "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_a_request_that_cannot_run_is_400_only_for_clients_of_the_new_media_type(
    desk: Desk, query: str, variables: Any, code: str
) -> None:
    for accept, status in ((JSON, 200), ("*/*", 200), (GRAPHQL_JSON, 400), (f"{GRAPHQL_JSON}, {JSON};q=0.9", 400)):
        response = await desk.post({"query": query, "variables": variables}, headers={"accept": accept})
        assert response.status_code == status
        answer = response.json()
        assert "data" not in answer
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}
        assert len(answer["errors"][0]["message"]) < 2_000


async def test_an_unknown_operation_name_is_told(desk: Desk) -> None:
    answer = (await desk.post({"query": "query A { viewer { id } }", "operationName": "B"})).json()
    assert code_of(answer) == "OPERATION_RESOLUTION_FAILURE"
    answer = (await desk.post({"query": "query A { viewer { id } }", "operationName": ""})).json()
    assert answer == {"data": {"viewer": None}}


async def test_a_stream_is_sent_only_where_one_was_asked_for(desk: Desk, token: str) -> None:
    async def form(accept: str, query: str = "{ viewer { username } }") -> tuple[int, str]:
        response = await desk.post({"query": query}, token, headers={"accept": accept})
        return response.status_code, response.headers["content-type"].split(";")[0]

    assert await form(URQL) == (200, GRAPHQL_JSON)
    assert await form("text/event-stream, application/json") == (200, JSON)
    assert await form("text/event-stream") == (200, EVENT_STREAM)
    assert await form("text/html, */*;q=0.1") == (200, JSON)
    assert await form("image/png") == (406, JSON)
    subscription = 'subscription { resumeTurn(turnId: "VHVybjox") { seq } }'
    assert await form("application/json", subscription) == (406, JSON)
    assert await form(URQL, subscription) == (200, EVENT_STREAM)


def test_the_preferred_form_is_chosen() -> None:
    both = (JSON, GRAPHQL_JSON)
    assert choose(None, both) == JSON
    assert choose("", both) == JSON
    assert choose("*/*", both) == JSON
    assert choose("application/*", both) == JSON
    assert choose(f"{GRAPHQL_JSON}, {JSON}", both) == GRAPHQL_JSON
    assert choose(f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.8", both) == JSON
    assert choose(f"{JSON};q=0, */*", both) == GRAPHQL_JSON
    assert choose(f"{JSON};q=nonsense", both) is None
    assert choose("text/html", both) is None


class _Broken(AgentCatalog):
    def visible_to(self, username: str) -> tuple[Agent, ...]:
        raise ZeroDivisionError("the secret of the house")


async def test_what_nobody_expected_is_masked_and_logged(desk: Desk, settings: Settings, token: str) -> None:
    broken = _Broken(desk.services.agents.all)
    services = replace(desk.services, agents=broken)
    view = GraphQLView(lambda: services, settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(view), base_url="http://desk") as http:
        with capture_logs() as logs:
            headers = {"authorization": f"Bearer {token}"}
            answer = (
                await http.post("/graphql", json={"query": "{ viewer { id } agents { name } }"}, headers=headers)
            ).json()
    assert code_of(answer) == "INTERNAL"
    assert "secret" not in json.dumps(answer)
    (entry,) = logs
    assert entry["log_level"] == "error"
    assert entry["request_id"] == answer["errors"][0]["extensions"]["request_id"]
    assert entry["path"] == ["agents"]
    assert isinstance(entry["exc_info"], ZeroDivisionError)


async def test_a_face_without_services_answers_in_its_own_form(settings: Settings) -> None:
    def not_ready() -> Services:
        raise LookupError("the secret of the house")

    view = GraphQLView(not_ready, settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(view), base_url="http://desk") as http:
        with capture_logs() as logs:
            refused = await http.post("/graphql", json={"query": "{ viewer { id } }"})
    assert (refused.status_code, code_of(refused.json())) == (500, "INTERNAL")
    assert "secret" not in refused.text
    assert len(logs) == 1
