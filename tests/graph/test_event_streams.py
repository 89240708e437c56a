"""graphql-sse in its distinct connections mode, read byte by byte."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.graph.desk import TEXT, Desk, Held

SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }"""
RESUME = "subscription($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { seq } }"


@asynccontextmanager
async def stream(
    desk: Desk, query: str, variables: Any = None, token: str | None = None
) -> AsyncIterator[httpx.Response]:
    headers = {"accept": "text/event-stream", **({"authorization": f"Bearer {token}"} if token else {})}
    body = {"query": query, "variables": variables}
    async with desk.http.stream("POST", desk.url, json=body, headers=headers) as response:
        yield response


async def blocks(response: httpx.Response) -> AsyncIterator[str]:
    """The stream's events and comments, as they come."""
    text = ""
    async for piece in response.aiter_text():
        text += piece
        *whole, text = text.split("\n\n")
        for block in whole:
            yield block


def event(block: str) -> tuple[str | None, str, Any]:
    """id, event and data."""
    fields = {name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in block.split("\n"))}
    return fields.get("id"), fields["event"], json.loads(fields["data"]) if fields["data"] else None


async def test_a_turn_streams_with_its_seq_as_id_and_lf_line_ends(desk: Desk, token: str, chat: str) -> None:
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        body = (await response.aread()).decode()
    assert "\r" not in body
    assert body.startswith(":\n\n")
    assert body.endswith("event: complete\ndata:\n\n")
    told = [event(block) for block in body.split("\n\n")[:-1] if block != ":"]
    events = [data["data"]["sendMessage"] for _, _, data in told[:-1]]
    assert [id for id, _, _ in told[:-1]] == [str(event["seq"]) for event in events]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {kind for _, kind, _ in told[:-1]} == {"next"}
    assert "".join(event.get("text", "") for event in events) == events[-1]["message"]["text"] == TEXT


async def test_silence_is_filled_with_comments(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token) as response, asyncio.timeout(10):
        received = blocks(response)
        assert await anext(received) == ":"
        events = [event(await anext(received)) for _ in range(3)]
        assert events[-1][2]["data"]["sendMessage"]["text"] == "Nano "
        assert [await anext(received), await anext(received)] == [":", ":"]
        held.release.set()
        rest = [block async for block in received if block != ":"]
    assert [event(block)[1] for block in rest] == ["next", "next", "complete"]


async def test_errors_before_the_first_event_are_told_in_the_stream(desk: Desk, token: str, chat: str) -> None:
    for query, variables, code in (
        (SEND, {"input": {"sessionId": chat, "text": ""}}, "BAD_USER_INPUT"),
        (SEND, {"input": {}}, "BAD_USER_INPUT"),
        (RESUME, {"turn": "VHVybjo5OQ==", "after": 0}, "NOT_FOUND"),
        ("subscription { nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", None, "GRAPHQL_PARSE_FAILED"),
    ):
        async with stream(desk, query, variables, token) as response:
            told = [event(block) async for block in blocks(response) if block != ":"]
        assert [(id, kind) for id, kind, _ in told] == [(None, "next"), (None, "complete")]
        assert {error["extensions"]["code"] for error in told[0][2]["errors"]} == {code}


async def test_a_query_is_streamed_to_a_client_that_takes_nothing_else(desk: Desk, token: str) -> None:
    async with stream(desk, "{ viewer { username } }", token=token) as response:
        told = [event(block) async for block in blocks(response) if block != ":"]
    assert told == [(None, "next", {"data": {"viewer": {"username": "ada"}}}), (None, "complete", None)]


async def test_a_subscription_can_be_asked_for_with_get(desk: Desk, token: str, chat: str) -> None:
    variables = json.dumps({"input": {"sessionId": chat, "text": "What does Nano cost?"}})
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
    response = await desk.http.get(desk.url, params={"query": SEND, "variables": variables}, headers=headers)
    assert response.text.count("event: next\n") > 3


async def test_leaving_ends_the_following_and_not_the_turn(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token) as response:
        received = blocks(response)
        await anext(received)
        turn = event(await anext(received))[2]["data"]["sendMessage"]["turnId"]
        assert desk.streams._ends
    async with asyncio.timeout(5):
        while desk.streams._ends:
            await asyncio.sleep(0.01)
    held.release.set()
    async with stream(desk, RESUME, {"turn": turn, "after": 2}, token) as response:
        told = [event(block) async for block in blocks(response) if block != ":"]
    assert [id for id, _, _ in told] == ["3", "4", "5", None]


async def test_logging_out_ends_the_stream_with_an_error(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token) as response, asyncio.timeout(5):
        received = blocks(response)
        for _ in range(3):
            await anext(received)
        async with asyncio.timeout(1):
            await desk.data("mutation { logout }", token=token)
            rest = [event(block) async for block in received if block != ":"]
    assert [kind for _, kind, _ in rest[-2:]] == ["next", "complete"]
    assert rest[-2][2]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
