"""How many streams and sockets may be open: the same counts over REST, GraphQL's event streams and WebSockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.graph.desk import PASSWORD, global_id
from tests.graph.raw_sockets import RawSocket, close_frame, opened
from tests.live_server import live_server
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang

PER_USER, PER_ADDRESS, SOCKETS = 3, 5, 4
ANSWER = "Nano costs nine."
RESUME = "subscription($turn: ID!) { resumeTurn(turnId: $turn) { seq __typename } }"
SEND = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq __typename } }"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture(scope="module")
def model() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture(scope="module")
def base(model: AzureOpenAIStandIn) -> Iterator[str]:
    """Believes the loopback who it forwards for, as it does behind a proxy."""
    limits = {
        "MAX_STREAMS_PER_USER": str(PER_USER),
        "MAX_STREAMS_PER_ADDRESS": str(PER_ADDRESS),
        "MAX_SOCKETS_PER_ADDRESS": str(SOCKETS),
        "TURN_SILENCE_SECONDS": "120",
    }
    with live_server({**model.environment(), **limits}) as url:
        yield url
        model.release()


@dataclass
class User:
    """Signed in, at one address."""

    base: str
    http: httpx.AsyncClient
    token: str
    address: str = HERE

    def at(self, address: str) -> "User":
        return User(self.base, self.http, self.token, address)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "X-Forwarded-For": self.address}

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.http.post(self.base + path, json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def new_chat(self) -> int:
        return int((await self.post("/api/v1/chat/new-chat", {}, 201))["chat_id"])

    async def held_turn(self, model: AzureOpenAIStandIn) -> int:
        """The id of a turn that goes on until the model is released."""
        model.script(Hang(after=1))
        async with self.rest(await self.new_chat()) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:") and '"text"' in line and "turn_id" in line and "user_message" not in line:
                    return int(json.loads(line.removeprefix("data:"))["turn_id"])
        raise AssertionError("no text")

    def rest(self, chat_id: int) -> Any:
        body = {"chat_id": chat_id, "message": "What is the nano pricing plan?"}
        return self.http.stream("POST", f"{self.base}/api/v1/chat/message", json=body, headers=self.headers)

    def follow_rest(self, turn_id: int) -> Any:
        return self.http.stream("GET", f"{self.base}/api/v1/chat/turns/{turn_id}/events", headers=self.headers)

    def follow_sse(self, turn_id: int) -> Any:
        body = {"query": RESUME, "variables": {"turn": global_id("Turn", turn_id)}}
        headers = {**self.headers, "Accept": "text/event-stream"}
        return self.http.stream("POST", f"{self.base}/graphql", json=body, headers=headers)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[RawSocket]:
        async with opened(f"{self.base}/graphql", headers=[("X-Forwarded-For", self.address)]) as socket:
            assert socket.handshake.status == 101
            await socket.init(token=self.token)
            yield socket


@pytest.fixture
async def sign_up(base: str) -> AsyncIterator[Callable[[str], Awaitable[User]]]:
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=httpx.Limits(max_connections=50)) as http:

        async def sign_up(name: str) -> User:
            person = {"username": name, "email": f"{name}@example.test", "password": PASSWORD}
            query = "mutation($i: RegisterInput!) { register(input: $i) { accessToken } }"
            answer = await http.post(f"{base}/graphql", json={"query": query, "variables": {"i": person}})
            return User(base, http, answer.json()["data"]["register"]["accessToken"])

        yield sign_up


SignUp = Callable[[str], Awaitable[User]]


@asynccontextmanager
async def begun(stream: Any) -> AsyncIterator[None]:
    """A stream of which something has come."""
    async with stream as response:
        assert response.status_code == 200, await response.aread()
        lines = response.aiter_lines()  # to be kept: without it, what is left of the stream is closed
        async for line in lines:
            if line.startswith("data"):
                break
        yield


async def hold_one_of_each(user: User, turn_id: int, held: AsyncExitStack) -> RawSocket:
    """A stream on each transport."""
    await held.enter_async_context(begun(user.follow_rest(turn_id)))
    await held.enter_async_context(begun(user.follow_sse(turn_id)))
    socket = await held.enter_async_context(user.socket())
    await socket.subscribe(RESUME, {"turn": global_id("Turn", turn_id)})
    assert (await socket.hear())["type"] == "next"
    return socket


async def refusals(user: User, turn_id: int) -> list[tuple[int, str, str]]:
    """Status, code and Retry-After of what each transport answers."""
    told = []
    for stream in (user.follow_rest(turn_id), user.follow_sse(turn_id)):
        async with stream as response:
            body = json.loads(await response.aread())
            code = body["error"]["code"] if "error" in body else body["errors"][0]["extensions"]["code"]
            told.append((response.status_code, code, response.headers["retry-after"]))
    async with user.socket() as socket:
        await socket.subscribe(RESUME, {"turn": global_id("Turn", turn_id)})
        while (message := await socket.hear())["type"] == "next":
            pass
        extensions = message["payload"][0]["extensions"]
        assert extensions["retryable"] is True
        told.append((429, extensions["code"], str(extensions["details"]["retryAfter"])))
        await socket.hears_pong()
    return told


async def test_a_users_streams_are_counted_together_on_all_transports(
    sign_up: SignUp, model: AzureOpenAIStandIn
) -> None:
    ada, ben = await sign_up("ada"), await sign_up("ben")
    turn_id = await ada.held_turn(model)
    async with AsyncExitStack() as held:
        await hold_one_of_each(ada, turn_id, held)
        assert await refusals(ada.at(ELSEWHERE), turn_id) == [(429, "RATE_LIMITED", "5")] * 3
        chat_id = await ada.new_chat()
        async with ada.rest(chat_id) as response:
            assert response.status_code == 429
        await ada.post("/api/v1/chat/message", {"chat_id": chat_id, "message": "So?", "stream": False}, 429)
        async with ada.at(ELSEWHERE).socket() as socket:
            await socket.subscribe(SEND, {"input": {"sessionId": global_id("ChatSession", chat_id), "text": "So?"}})
            assert (await socket.hear())["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        stored = await ada.http.get(f"{ada.base}/api/v1/chat/{chat_id}/messages", headers=ada.headers)
        assert stored.json()["items"] == [], "what is refused asks nothing"
        async with begun(ben.rest(await ben.new_chat())):
            pass


async def test_an_addresss_streams_are_counted_together_for_all_users(
    sign_up: SignUp, model: AzureOpenAIStandIn
) -> None:
    cid, dan = await sign_up("cid"), await sign_up("dan")
    turn_of_cid, turn_of_dan = await cid.held_turn(model), await dan.held_turn(model)
    async with AsyncExitStack() as held:
        await hold_one_of_each(cid, turn_of_cid, held)
        for _ in range(PER_ADDRESS - PER_USER):
            await held.enter_async_context(begun(dan.follow_rest(turn_of_dan)))
        assert await refusals(dan, turn_of_dan) == [(429, "RATE_LIMITED", "5")] * 3
        async with begun(dan.at(ELSEWHERE).follow_sse(turn_of_dan)):
            pass


async def test_an_addresss_sockets_are_counted_from_the_handshake_on(base: str, sign_up: SignUp) -> None:
    eve = await sign_up("eve")
    there = [("X-Forwarded-For", "198.51.100.1")]
    async with AsyncExitStack() as held:
        silent = [await held.enter_async_context(opened(f"{base}/graphql", headers=there)) for _ in range(SOCKETS)]
        async with opened(f"{base}/graphql", headers=there) as refused:
            assert (refused.handshake.status, refused.handshake.headers["retry-after"]) == (429, "5")
            assert b"RATE_LIMITED" in await refused.reader.read()
        async with eve.socket():
            pass
        await silent[0].send(close_frame())
        await silent[0].closed()
        await eventually(lambda: lets_in(base, there))
    await eventually(lambda: lets_in(base, there))


async def lets_in(base: str, headers: list[tuple[str, str]]) -> bool:
    async with opened(f"{base}/graphql", headers=headers) as socket:
        return socket.handshake.status == 101


async def eventually(succeeds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await succeeds():
            await asyncio.sleep(0.02)


async def test_every_place_is_given_back_however_its_stream_ends(sign_up: SignUp, model: AzureOpenAIStandIn) -> None:
    """Each way is gone more often than there are places."""
    fay = await sign_up("fay")
    turn_id = await fay.held_turn(model)
    ended = await fay.new_chat()
    async with fay.rest(ended) as response:
        await response.aread()

    async def leaves_rest() -> None:
        async with begun(fay.follow_rest(turn_id)):
            pass

    async def leaves_sse() -> None:
        async with begun(fay.follow_sse(turn_id)):
            pass

    async def breaks_a_socket() -> None:
        async with fay.socket() as socket:
            await socket.subscribe(RESUME, {"turn": global_id("Turn", turn_id)})
            await socket.hear()
            socket.writer.transport.abort()

    async def completes() -> None:
        async with fay.socket() as socket:
            await socket.subscribe(RESUME, {"turn": global_id("Turn", turn_id)})
            await socket.hear()
            await socket.say({"id": "1", "type": "complete"})
            await socket.hears_pong()

    async def fails() -> None:
        for stream in (fay.follow_rest(10**9), fay.follow_sse(10**9)):
            async with stream as response:
                await response.aread()

    async def reads_on() -> None:
        async with fay.rest(await fay.new_chat()) as response:
            assert b"turn_completed" in await response.aread()
        await fay.post("/api/v1/chat/message", {"chat_id": await fay.new_chat(), "message": "So?", "stream": False})

    async def has_room() -> bool:
        """For all that one user may have."""
        try:
            async with AsyncExitStack() as held:
                for _ in range(PER_USER):
                    await held.enter_async_context(begun(fay.follow_rest(turn_id)))
        except AssertionError:
            return False
        return True

    for way in (leaves_rest, leaves_sse, breaks_a_socket, completes, fails, reads_on):
        await eventually(has_room)
        for _ in range(PER_USER + 1):
            with suppress(AssertionError):  # a place that was left a moment ago may not be free yet
                await way()
        await eventually(has_room)
