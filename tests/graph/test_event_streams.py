"""graphql-sse in its distinct connections mode."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.graph.desk import TEXT, Desk, Held
from tests.graph.event_streams import blocks, event, next_event

pytestmark = pytest.mark.conformance("graphql-sse, distinct connections")
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }"""
RESUME = "subscription($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { seq } }"


@asynccontextmanager
async def stream(
    desk: Desk, query: str, variables: Any = None, token: str | None = None, last_event_id: str | bytes | None = None
) -> AsyncIterator[httpx.Response]:
    headers: dict[str, Any] = {
        "accept": "text/event-stream",
        **({"authorization": f"Bearer {token}"} if token else {}),
    }
    if last_event_id is not None:
        headers["last-event-id"] = last_event_id
    body = {"query": query, "variables": variables}
    async with desk.http.stream("POST", desk.url, json=body, headers=headers) as response:
        yield response


async def rest_of(response: httpx.Response) -> list[tuple[str | None, str, Any]]:
    """All that is left to come."""
    return [event(block) async for block in blocks(response) if block != ":"]


def keyed(chat: str, after: int = 0) -> dict[str, Any]:
    """A message that can be sent again."""
    return {"input": {"sessionId": chat, "text": "What does Nano cost?", "clientMessageId": "m-1", "after": after}}


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
        events = [await next_event(received) for _ in range(3)]
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
            told = await rest_of(response)
        assert [(id, kind) for id, kind, _ in told] == [(None, "next"), (None, "complete")]
        assert {error["extensions"]["code"] for error in told[0][2]["errors"]} == {code}


async def test_a_query_is_streamed_to_a_client_that_takes_nothing_else(desk: Desk, token: str) -> None:
    async with stream(desk, "{ viewer { username } }", token=token) as response:
        told = await rest_of(response)
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
        turn = (await next_event(received))[2]["data"]["sendMessage"]["turnId"]
        assert desk.streams._ends
    async with asyncio.timeout(5):
        while desk.streams._ends:
            await asyncio.sleep(0.01)
    held.release.set()
    async with stream(desk, RESUME, {"turn": turn, "after": 2}, token) as response:
        told = await rest_of(response)
    assert [id for id, _, _ in told] == ["3", "4", "5", None]


async def test_logging_out_ends_the_stream_with_an_error(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token) as response, asyncio.timeout(5):
        received = blocks(response)
        for _ in range(3):
            await anext(received)
        async with asyncio.timeout(20):
            await desk.data("mutation { logout }", token=token)
            rest = [event(block) async for block in received if block != ":"]
    assert [kind for _, kind, _ in rest[-2:]] == ["next", "complete"]
    assert rest[-2][2]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("asks_again", [True, False], ids=["sendMessage", "resumeTurn"])
async def test_a_client_that_reconnects_goes_on_after_the_event_that_it_saw_last(
    desk: Desk, token: str, chat: str, asks_again: bool
) -> None:
    """It sends what it sent before, as an EventSource does, and the header wins over `after`. Its connection is lost
    after each event, while the turn runs and when it has ended."""
    desk.workflow = held = Held()
    async with stream(desk, SEND, keyed(chat), token) as response, asyncio.timeout(10):
        received = blocks(response)
        assert await anext(received) == ":"
        seen = [await next_event(received)]
    query, variables = SEND, keyed(chat, after=2)
    if not asks_again:
        query, variables = RESUME, {"turn": seen[0][2]["data"]["sendMessage"]["turnId"], "after": 2}
    while seen[-1][0] is not None:
        if len(seen) == 3:
            held.release.set()
        async with stream(desk, query, variables, token, last_event_id=seen[-1][0]) as response, asyncio.timeout(10):
            seen.append(await next_event(blocks(response)))
        assert seen[-1][0] in (None, str(len(seen)))
    assert [(id, kind) for id, kind, _ in seen] == [
        *((str(seq), "next") for seq in range(1, len(seen))),
        (None, "complete"),
    ]
    assert [next(iter(data["data"].values()))["seq"] for _, _, data in seen[:-1]] == list(range(1, len(seen)))


async def test_every_cursor_in_the_header_tells_the_rest(desk: Desk, token: str, chat: str) -> None:
    async with stream(desk, SEND, keyed(chat), token) as response:
        whole = await rest_of(response)
    turn = whole[0][2]["data"]["sendMessage"]["turnId"]
    for last in [*range(len(whole)), 999_999_999]:
        async with stream(desk, SEND, keyed(chat, after=1), token, last_event_id=str(last)) as response:
            assert await rest_of(response) == (whole[last:] or whole[-1:])
        async with stream(desk, RESUME, {"turn": turn, "after": 1}, token, last_event_id=str(last)) as response:
            assert [id for id, _, _ in await rest_of(response)] == [id for id, _, _ in whole[last:] or whole[-1:]]
    async with stream(desk, SEND, keyed(chat, after=1), token, last_event_id="") as response:
        assert await rest_of(response) == whole[1:], "an empty header is none"


async def test_a_new_turn_is_told_from_its_first_event(desk: Desk, token: str, chat: str) -> None:
    """Without a clientMessageId there is nothing to go on with."""
    variables = {"input": {"sessionId": chat, "text": "What does Nano cost?"}}
    async with stream(desk, SEND, variables, token, last_event_id="3") as response:
        assert [id for id, _, _ in await rest_of(response)][:4] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("header", ["x", "-1", "1.5", "0x1", "²", "1" * 10])
async def test_a_header_that_is_no_cursor_is_refused_before_anything_is_asked(
    desk: Desk, token: str, chat: str, header: str
) -> None:
    async with stream(desk, SEND, keyed(chat), token, last_event_id=header.encode("utf-8")) as response:
        assert response.status_code == 400
        (error,) = json.loads(await response.aread())["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert list(error["extensions"]["details"]["fields"]) == ["last-event-id"]
    assert (await desk.post({"query": "{ viewer { username } }"}, token, headers={"last-event-id": "x"})).is_success
    messages = "query($id: ID!) { session(id: $id) { messages(first: 5) { edges { cursor } } } }"
    assert (await desk.data(messages, {"id": chat}, token))["session"]["messages"]["edges"] == []
