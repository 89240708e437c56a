"""graphql-sse in its single connection mode: reservations, and what comes on the stream that they open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from graph.reservations import MAX_OPERATIONS, MAX_PER_USER
from settings import Settings
from tests.graph.desk import TEXT, Desk, Held, code_of
from tests.graph.event_streams import blocks, event

pytestmark = pytest.mark.conformance("graphql-sse, single connection")
HEADER = "x-graphql-event-stream-token"
NAME = "{ viewer { username } }"
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }"""
RENAME = 'mutation($chat: ID!) { renameChat(sessionId: $chat, title: "Prices") { title } }'
RESUME = "subscription($turn: ID!, $after: Int!) { resumeTurn(turnId: $turn, after: $after) { seq } }"


@dataclass(frozen=True)
class Client:
    """A user with a reservation."""

    desk: Desk
    token: str | None
    reservation: str

    async def call(self, method: str, **options: Any) -> httpx.Response:
        headers = {HEADER: self.reservation, **({"authorization": f"Bearer {self.token}"} if self.token else {})}
        headers |= options.pop("headers", {})
        return await self.desk.http.request(method, self.desk.url, headers=headers, **options)

    async def ask(self, operation_id: Any, query: str, variables: Any = None) -> httpx.Response:
        body = {"query": query, "variables": variables, "extensions": {"operationId": operation_id}}
        return await self.call("POST", json=body)

    async def run(self, operation_id: str, query: str, variables: Any = None) -> None:
        answer = await self.ask(operation_id, query, variables)
        assert (answer.status_code, answer.content) == (202, b""), answer.text

    async def stop(self, operation_id: str) -> httpx.Response:
        return await self.call("DELETE", params={"operationId": operation_id})

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Stream"]:
        headers = {HEADER: self.reservation, "accept": "text/event-stream", "authorization": f"Bearer {self.token}"}
        async with self.desk.http.stream("GET", self.desk.url, headers=headers) as response, asyncio.timeout(20):
            yield Stream(response)

    async def is_there(self) -> bool:
        answer = await self.stop("none")
        assert answer.status_code in (200, 404)
        return answer.status_code == 200


class Stream:
    """What comes on it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._blocks = blocks(response)

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data, past comments."""
        while (block := await anext(self._blocks)) == ":":
            pass
        event_id, kind, data = event(block)
        assert event_id is None, "cursors belong to turns, and the stream has many"
        return kind, data

    async def until_complete(self, operation_id: str) -> list[Any]:
        """The payloads of the only operation."""
        payloads = []
        while (told := await self.next()) != ("complete", {"id": operation_id}):
            kind, data = told
            assert (kind, data["id"]) == ("next", operation_id)
            payloads.append(data["payload"])
        return payloads

    async def rest(self) -> list[tuple[str, Any]]:
        """To its end."""
        return [event(block)[1:] async for block in self._blocks if block != ":"]


async def reserve(desk: Desk, token: str | None) -> httpx.Response:
    return await desk.http.put(desk.url, headers={"authorization": f"Bearer {token}"} if token else {})


async def reserved(desk: Desk, token: str) -> Client:
    answer = await reserve(desk, token)
    assert answer.status_code == 201, answer.text
    return Client(desk, token, answer.text)


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
async def client(desk: Desk, token: str) -> Client:
    return await reserved(desk, token)


def message(chat: str) -> dict[str, Any]:
    return {"input": {"sessionId": chat, "text": "What does Nano cost?"}}


async def test_a_reservation_is_a_token_in_plain_text(desk: Desk, token: str) -> None:
    answer = await reserve(desk, token)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.text) >= 43, "256 bits, so that nobody guesses it"
    assert (await reserve(desk, token)).text != answer.text
    refused = await desk.http.put(desk.url, headers={"authorization": f"Bearer {token}", "accept": "image/png"})
    assert (refused.status_code, code_of(refused.json())) == (406, "NOT_ACCEPTABLE")


async def test_one_stream_carries_turns_queries_and_mutations(client: Client, chat: str) -> None:
    async with client.open() as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-cache, no-transform"
        assert stream.response.headers["x-accel-buffering"] == "no"
        await client.run("a", SEND, message(chat))
        payloads = await stream.until_complete("a")
        events = [payload["data"]["sendMessage"] for payload in payloads]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert "".join(event.get("text", "") for event in events) == events[-1]["message"]["text"] == TEXT
        await client.run("b", RESUME, {"turn": events[0]["turnId"], "after": 2})
        resumed = await stream.until_complete("b")
        assert [payload["data"]["resumeTurn"]["seq"] for payload in resumed] == list(range(3, len(events) + 1))
        await client.run("a", NAME)
        assert await stream.until_complete("a") == [{"data": {"viewer": {"username": "ada"}}}], "the id is free again"
        await client.run("c", RENAME, {"chat": chat})
        assert await stream.until_complete("c") == [{"data": {"renameChat": {"title": "Prices"}}}]


async def test_operations_run_side_by_side(client: Client, chat: str) -> None:
    client.desk.workflow = held = Held()
    async with client.open() as stream:
        await client.run("turn", SEND, message(chat))
        for _ in range(3):
            assert (await stream.next())[1]["id"] == "turn"
        await client.run("query", NAME)
        assert await stream.until_complete("query")
        held.release.set()
        assert (await stream.until_complete("turn"))[-1]["data"]["sendMessage"]["message"]["text"] == TEXT


async def test_lines_end_with_lf(client: Client, chat: str) -> None:
    headers = {"authorization": f"Bearer {client.token}", "accept": "text/event-stream"}
    address = {"token": client.reservation}
    await client.run("a", SEND, {"input": {**message(chat)["input"], "text": "Nano?\r\nReally\u2028?"}})
    body = ""
    async with client.desk.http.stream("GET", client.desk.url, params=address, headers=headers) as response:
        async for piece in response.aiter_text():
            body += piece
            if body.endswith('event: complete\ndata: {"id":"a"}\n\n'):
                break
    assert body.startswith(":\n\n")
    assert "\r" not in body


async def test_what_comes_before_the_stream_is_opened_waits_for_it(client: Client) -> None:
    for number in range(3):
        await client.run(str(number), NAME)
    async with client.open() as stream:
        told = [await stream.next() for _ in range(6)]
    assert sorted(data["id"] for kind, data in told if kind == "complete") == ["0", "1", "2"]


async def test_operations_can_be_sent_with_get_but_mutations_cannot(client: Client) -> None:
    address = {"query": NAME, "extensions": '{"operationId": "a"}'}
    async with client.open() as stream:
        assert (await client.call("GET", params=address)).status_code == 202
        assert await stream.until_complete("a") == [{"data": {"viewer": {"username": "ada"}}}]
        refused = await client.call("GET", params={**address, "query": "mutation { logout }"})
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST, PUT, DELETE")


async def test_a_stream_has_one_reader(client: Client) -> None:
    async with client.open() as stream:
        async with client.open() as second:
            assert second.response.status_code == 409
            await second.response.aread()
            assert code_of(second.response.json()) == "STREAM_TAKEN"
        await client.run("a", NAME)
        assert await stream.until_complete("a")


async def test_a_reservation_is_its_users_alone(desk: Desk, client: Client) -> None:
    eve = Client(desk, await desk.sign_up("eve"), client.reservation)
    unknown = Client(desk, client.token, "x" * 43)
    body = {"query": NAME, "extensions": {"operationId": "a"}}
    opening = {"accept": "text/event-stream"}
    async with client.open() as stream:
        for other in (eve, unknown):
            for answer in (
                await other.call("GET", headers=opening),
                await other.call("POST", json=body),
                await other.stop("a"),
            ):
                assert (answer.status_code, code_of(answer.json())) == (404, "NOT_FOUND")
        for token in (None, "nonsense"):
            nobody = Client(desk, token, client.reservation)
            for answer in (
                await reserve(desk, token),
                await nobody.call("GET", headers=opening),
                await nobody.call("POST", json=body),
                await nobody.stop("a"),
            ):
                assert (answer.status_code, code_of(answer.json())) == (401, "UNAUTHENTICATED")
                assert answer.headers["www-authenticate"] == "Bearer"
        await client.run("a", NAME)
        assert await stream.until_complete("a"), "nobody else got in"


async def test_a_stopped_operation_sends_no_more_and_the_turn_goes_on(client: Client, chat: str) -> None:
    desk = client.desk
    desk.workflow = held = Held()
    async with client.open() as stream:
        await client.run("a", SEND, message(chat))
        turn = (await stream.next())[1]["payload"]["data"]["sendMessage"]["turnId"]
        for _ in range(2):
            await stream.next()
        assert (await client.stop("a")).status_code == 200
        assert len(desk.streams._open) == 1, "the stream alone is left"
        held.release.set()
        await client.run("b", RESUME, {"turn": turn, "after": 3})
        seqs = [payload["data"]["resumeTurn"]["seq"] for payload in await stream.until_complete("b")]
        assert seqs == [4, 5]
        for answer in (await client.stop("a"), await client.stop("never")):
            assert (answer.status_code, answer.content) == (200, b"")
        refused = await client.call("DELETE")
        assert (refused.status_code, code_of(refused.json())) == (400, "BAD_USER_INPUT")


async def test_an_operation_id_is_taken_while_it_runs(client: Client, chat: str) -> None:
    client.desk.workflow = held = Held()
    async with client.open() as stream:
        await client.run("a", SEND, message(chat))
        refused = await client.ask("a", NAME)
        assert (refused.status_code, code_of(refused.json())) == (409, "OPERATION_ID_TAKEN")
        held.release.set()
        assert len(await stream.until_complete("a")) == 5


@pytest.mark.parametrize("operation_id", [None, "", 1, "x" * 129, ["a"], {}])
async def test_an_operation_needs_an_id(client: Client, operation_id: Any) -> None:
    refused = await client.ask(operation_id, NAME)
    assert (refused.status_code, code_of(refused.json())) == (400, "BAD_USER_INPUT")
    assert list(refused.json()["errors"][0]["extensions"]["details"]["fields"]) == ["operationId"]


async def test_what_is_not_fit_to_run_is_told_to_the_request(client: Client) -> None:
    two = "query A { viewer { id } } query B { viewer { id } }"
    for query, code in (
        ("{ viewer {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "a: viewer { id } " * 200 + "}", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on User { id }", "GRAPHQL_VALIDATION_FAILED"),
        (two, "OPERATION_RESOLUTION_FAILURE"),
        ("", "BAD_USER_INPUT"),
    ):
        refused = await client.ask("a", query)
        assert refused.status_code == 400
        assert list(refused.json()) == ["errors"]
        assert {error["extensions"]["code"] for error in refused.json()["errors"]} == {code}
    for name in ("C", "A"):
        body = {"query": two, "operationName": name, "extensions": {"operationId": "named"}}
        answer = await client.call("POST", json=body)
        assert answer.status_code == (400 if name == "C" else 202), answer.text
    refused = await client.call(
        "POST", json={"query": NAME, "extensions": {"operationId": "a"}}, headers={"accept": "text/event-stream"}
    )
    assert (refused.status_code, code_of(refused.json())) == (406, "NOT_ACCEPTABLE")
    refused = await client.call("GET", headers={"accept": "application/json"})
    assert (refused.status_code, code_of(refused.json())) == (406, "NOT_ACCEPTABLE")


async def test_what_fails_as_it_runs_is_told_on_the_stream(client: Client) -> None:
    async with client.open() as stream:
        for query, variables, code in (
            (SEND, {"input": {}}, "BAD_USER_INPUT"),
            (RESUME, {"turn": "VHVybjo5OQ==", "after": 0}, "NOT_FOUND"),
        ):
            await client.run("a", query, variables)
            (payload,) = await stream.until_complete("a")
            assert {error["extensions"]["code"] for error in payload["errors"]} == {code}


async def test_reservations_and_their_operations_are_bounded(desk: Desk, client: Client, chat: str) -> None:
    desk.workflow = held = Held()
    async with client.open() as stream:
        await client.run("0", SEND, message(chat))
        turn = (await stream.next())[1]["payload"]["data"]["sendMessage"]["turnId"]
        for number in range(1, MAX_OPERATIONS):
            await client.run(str(number), RESUME, {"turn": turn, "after": 3})
        refused = await client.ask("one more", NAME)
        assert (refused.status_code, code_of(refused.json())) == (429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) >= 1
        await client.stop("7")
        await client.run("one more", NAME)
        for _ in range(1, MAX_PER_USER):
            last = await reserved(desk, str(client.token))
        refused = await reserve(desk, client.token)
        assert (refused.status_code, code_of(refused.json())) == (429, "RATE_LIMITED")
        await reserved(desk, await desk.sign_up("eve"))
        async with last.open():
            pass
        while (await reserve(desk, client.token)).status_code != 201:
            await asyncio.sleep(0.01)
        held.release.set()


async def test_a_closed_stream_ends_its_followers_and_its_token_and_not_the_turn(client: Client, chat: str) -> None:
    desk = client.desk
    desk.workflow = held = Held()
    async with client.open() as stream:
        await client.run("a", SEND, message(chat))
        turn = (await stream.next())[1]["payload"]["data"]["sendMessage"]["turnId"]
        assert len(desk.streams._open) == 2
    async with asyncio.timeout(5):
        while desk.streams._open or desk.streams._ends:
            await asyncio.sleep(0.01)
    assert not await client.is_there()
    held.release.set()
    again = await reserved(desk, str(client.token))
    async with again.open() as stream:
        await again.run("a", RESUME, {"turn": turn, "after": 0})
        assert len(await stream.until_complete("a")) == 5


async def test_logging_out_ends_the_stream_within_a_second(client: Client, chat: str) -> None:
    desk = client.desk
    desk.workflow = Held()
    waiting = await reserved(desk, str(client.token))
    stays = await reserved(desk, (await login(desk)))
    async with stays.open() as other, client.open() as stream:
        await client.run("a", SEND, message(chat))
        for _ in range(3):
            await stream.next()
        async with asyncio.timeout(20):
            await desk.data("mutation { logout }", token=client.token)
            told = await stream.rest()
        assert [kind for kind, _ in told] == ["next", "complete"]
        assert told[0][1]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        for ended in (client, waiting):
            assert not await Client(desk, stays.token, ended.reservation).is_there()
        await stays.run("a", NAME)
        assert await other.until_complete("a"), "another login of the same user goes on"


async def login(desk: Desk) -> str:
    """Another login of ada's."""
    query = 'mutation { login(input: { username: "ada", password: "a_strong_password" }) { accessToken } }'
    return str((await desk.data(query))["login"]["accessToken"])


async def test_a_stream_ends_when_its_access_token_expires(desk: Desk, chat: str) -> None:
    desk.token_age = timedelta(minutes=60, seconds=-2)
    client = await reserved(desk, await desk.sign_up("brief"))
    async with client.open() as stream, asyncio.timeout(4):
        assert await stream.rest() == []


async def test_a_server_that_stops_tells_each_operation_and_ends_the_stream(client: Client, chat: str) -> None:
    desk = client.desk
    desk.workflow = held = Held()
    idle = await reserved(desk, await desk.sign_up("eve"))
    async with idle.open() as quiet, client.open() as stream:
        await client.run("a", SEND, message(chat))
        for _ in range(3):
            await stream.next()
        async with asyncio.timeout(5):
            await desk.streams.close()
            told = await stream.rest()
            assert await quiet.rest() == []
        assert [(kind, data["id"]) for kind, data in told] == [("next", "a"), ("complete", "a")]
        extensions = told[0][1]["payload"]["errors"][0]["extensions"]
        assert {name: extensions[name] for name in ("code", "retryable", "after")} == {
            "code": "SERVICE_UNAVAILABLE",
            "retryable": True,
            "after": 3,
        }
        refused = await reserve(desk, client.token)
        assert (refused.status_code, code_of(refused.json())) == (503, "SERVICE_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) >= 1
    held.release.set()


@pytest.mark.parametrize("settings", [{"sse_reservation_seconds": 0.5}], indirect=True)
async def test_a_reservation_that_nobody_opens_expires(desk: Desk, token: str) -> None:
    opened, forgotten = await reserved(desk, token), await reserved(desk, token)
    async with opened.open() as stream, asyncio.timeout(10):
        while await forgotten.is_there():
            await asyncio.sleep(0.05)
        await opened.run("a", NAME)
        assert await stream.until_complete("a")
    assert (await forgotten.ask("a", NAME)).status_code == 404


@pytest.mark.parametrize("settings", [{"sse_single_connection": "off"}], indirect=True)
async def test_a_server_that_reserves_no_streams_says_so(desk: Desk, token: str) -> None:
    refused = await reserve(desk, token)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    assert code_of(refused.json()) == "METHOD_NOT_ALLOWED"
    assert "distinct connections" in refused.json()["errors"][0]["message"]
    answer = await Client(desk, token, "anything").ask("a", NAME)
    assert (answer.status_code, code_of(answer.json())) == (404, "NOT_FOUND")
    assert (await desk.data(NAME, token=token)) == {"viewer": {"username": "ada"}}


def test_streams_are_reserved_where_one_process_serves_alone() -> None:
    def of(**settings: Any) -> Settings:
        return Settings(_env_file=None, **settings)

    redis = "redis://127.0.0.1:6379/0"
    assert of().reserves_streams
    assert not of(redis_url=redis).reserves_streams
    assert not of(redis_url=redis, workers=4).reserves_streams
    assert not of(sse_single_connection="off").reserves_streams
    assert of(redis_url=redis, sse_single_connection="on").reserves_streams
    with pytest.raises(ValidationError, match="SSE_SINGLE_CONNECTION=on cannot run with WORKERS=4"):
        of(redis_url=redis, workers=4, sse_single_connection="on")
