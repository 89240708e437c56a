"""Subscriptions as multipart bodies, for Apollo's clients, read byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

import httpx
import pytest

from graph.negotiation import EVENT_STREAM, MULTIPART, choose
from tests.graph.desk import TEXT, Desk, Held, code_of

pytestmark = pytest.mark.conformance("Multipart subscriptions")

APOLLO = (
    "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"
)
"""What Apollo Client sends with a subscription."""
FORM = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }"""
RESUME = "subscription($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { seq } }"


@asynccontextmanager
async def stream(
    desk: Desk, query: str, variables: Any = None, token: str | None = None, accept: str = APOLLO
) -> AsyncIterator[httpx.Response]:
    headers = {"accept": accept, **({"authorization": f"Bearer {token}"} if token else {})}
    body = {"query": query, "variables": variables}
    async with desk.http.stream("POST", desk.url, json=body, headers=headers) as response:
        yield response


async def parts(response: httpx.Response) -> AsyncIterator[Any]:
    """Their bodies, each as soon as its delimiter is there; fails when the last delimiter is not."""
    assert response.headers["content-type"] == FORM
    pending = b""
    begun = False
    async for chunk in response.aiter_raw():
        *whole, pending = (pending + chunk).split(b"\r\n--graphql")
        for text in whole:
            if begun:
                head, _, body = text.partition(b"\r\n\r\n")
                assert head == b"\r\nContent-Type: application/json"
                yield json.loads(body)
            else:
                assert text == b"", "there is no preamble"
                begun = True
    assert pending == b"--\r\n"


def question(chat: str) -> dict[str, Any]:
    return {"input": {"sessionId": chat, "text": "What does Nano cost?"}}


async def test_a_turn_streams_as_the_parts_of_one_body(desk: Desk, token: str, chat: str) -> None:
    async with stream(desk, SEND, question(chat), token) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == FORM
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        body = await response.aread()
    whole = message_from_bytes(f"Content-Type: {FORM}\r\n\r\n".encode() + body, policy=policy.strict)
    assert not whole.defects
    read = [cast(EmailMessage, part) for part in whole.iter_parts()]
    assert {part.get_content_type() for part in read} == {"application/json"}
    told = [json.loads(part.get_content()) for part in read]
    events = [part["payload"]["data"]["sendMessage"] for part in told if part]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "".join(event.get("text", "") for event in events) == events[-1]["message"]["text"] == TEXT


async def _next(received: AsyncIterator[Any]) -> Any:
    """The next part that is not empty: a slow server fills its silence."""
    while not (part := await anext(received)):
        pass
    return part


async def test_each_part_is_whole_at_once_and_silence_is_filled_with_empty_ones(
    desk: Desk, token: str, chat: str
) -> None:
    desk.workflow = held = Held()
    async with stream(desk, SEND, question(chat), token) as response, asyncio.timeout(30):
        received = parts(response)
        events = [(await _next(received))["payload"]["data"]["sendMessage"] for _ in range(3)]
        assert events[-1]["text"] == "Nano "
        assert [await anext(received), await anext(received)] == [{}, {}]
        held.release.set()
        rest = [part async for part in received if part]
    assert [part["payload"]["data"]["sendMessage"]["seq"] for part in rest] == [4, 5]


async def test_what_is_wrong_with_the_request_is_told_as_its_result(desk: Desk, token: str, chat: str) -> None:
    for query, variables, bearer, code in (
        (SEND, {"input": {"sessionId": chat, "text": ""}}, token, "BAD_USER_INPUT"),
        (SEND, {"input": None}, token, "BAD_USER_INPUT"),
        (SEND, question(chat), "no token", "UNAUTHENTICATED"),
        (RESUME, {"turn": "VHVybjo5OQ==", "after": 0}, token, "NOT_FOUND"),
        ("subscription { nothing }", None, token, "GRAPHQL_VALIDATION_FAILED"),
    ):
        async with stream(desk, query, variables, bearer) as response:
            told = [part async for part in parts(response) if part]
        assert [list(part) for part in told] == [["payload"]]
        assert list(told[0]["payload"]) == ["errors"]
        assert code_of(told[0]["payload"]) == code


async def test_logging_out_ends_the_body_with_an_error(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    async with stream(desk, SEND, question(chat), token) as response, asyncio.timeout(30):
        received = parts(response)
        for _ in range(3):
            await anext(received)
        await desk.data("mutation { logout }", token=token)
        *_, last = [part async for part in received if part]
    assert last["payload"] is None
    assert code_of(last) == "UNAUTHENTICATED"


async def test_the_end_of_the_access_token_ends_the_body(desk: Desk, chat: str) -> None:
    desk.workflow = Held()
    desk.token_age = timedelta(minutes=59, seconds=58)
    token = await desk.sign_up("brief")
    async with stream(desk, SEND, question(await desk.new_chat(token)), token) as response, asyncio.timeout(30):
        *_, last = [part async for part in parts(response) if part]
    assert last["payload"] is None
    assert code_of(last) == "UNAUTHENTICATED"


async def test_a_server_that_stops_says_where_to_go_on(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    async with stream(desk, SEND, question(chat), token) as response, asyncio.timeout(30):
        received = parts(response)
        seqs = [(await _next(received))["payload"]["data"]["sendMessage"]["seq"] for _ in range(3)]
        closing = asyncio.create_task(desk.streams.close())
        *_, last = [part async for part in received if part]
        await closing
    held.release.set()
    assert last["payload"] is None
    extensions = last["errors"][0]["extensions"]
    assert (extensions["code"], extensions["retryable"], extensions["after"]) == ("SERVICE_UNAVAILABLE", True, seqs[-1])


async def test_leaving_ends_the_following_and_not_the_turn(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    async with stream(desk, SEND, question(chat), token) as response:
        turn = (await _next(parts(response)))["payload"]["data"]["sendMessage"]["turnId"]
        assert desk.streams._ends
    async with asyncio.timeout(30):
        while desk.streams._ends:
            await asyncio.sleep(0.01)
    held.release.set()
    async with stream(desk, RESUME, {"turn": turn, "after": 2}, token) as response:
        told = [part["payload"]["data"]["resumeTurn"]["seq"] async for part in parts(response) if part]
    assert told == [3, 4, 5]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (APOLLO, MULTIPART),
        ('multipart/mixed; boundary="graphql"; subscriptionSpec="1.0", application/json', MULTIPART),
        ("multipart/mixed", MULTIPART),
        ("multipart/*", MULTIPART),
        ("text/event-stream, multipart/mixed", EVENT_STREAM),
        ("text/event-stream;q=0.5, multipart/mixed", MULTIPART),
        ("*/*", EVENT_STREAM),
        ("multipart/mixed;deferSpec=20220824, application/json", None),
        ("multipart/mixed;subscriptionSpec=2.0, application/json", None),
        ("multipart/mixed;subscriptionSpec=1.0;q=0, multipart/mixed", None),
        ("multipart/mixed;q=0, multipart/mixed;subscriptionSpec=1.0", MULTIPART),
    ],
)
def test_it_is_sent_to_those_who_ask_for_it(accept: str, form: str | None) -> None:
    assert choose(accept, (EVENT_STREAM, MULTIPART)) == form


async def test_queries_and_what_is_no_request_are_answered_as_json(desk: Desk, token: str) -> None:
    subscription = 'subscription { resumeTurn(turnId: "VHVybjox") { seq } }'
    for query, accept, status, form in (
        ("{ viewer { username } }", APOLLO, 200, "application/graphql-response+json"),
        ("{ viewer { username } }", "multipart/mixed", 200, "multipart/mixed"),
        (subscription, "multipart/mixed;subscriptionSpec=2.0, application/json", 406, "application/json"),
        ("subscription {", APOLLO, 400, "application/graphql-response+json"),
        (None, APOLLO, 400, "application/graphql-response+json"),
    ):
        response = await desk.post({"query": query}, token, headers={"accept": accept})
        assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (status, form), query
