"""Several processes, one desk: real servers that share a database and a Redis, with a scripted model upstream."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest

from tests.databases import BACKENDS, empty_database
from tests.live_server import live_server
from tests.redis_servers import RedisServer, own_redis, redis_prefix
from tests.rest.event_frames import LAST, Frame, arriving, read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang

QUESTION = "What is the nano pricing plan?"
ANSWER = "The Nano plan costs $9 a month [1]. " + " ".join(f"Größe{n} 👩🏽‍🚀" for n in range(30))
PASSWORD = "a_strong_password"
SOON = 10.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Client:
    """A signed-in user on one worker; `on` is the same login on another."""

    http: httpx.AsyncClient
    token: str
    name: str

    def on(self, http: httpx.AsyncClient) -> "Client":
        return Client(http, self.token, self.name)

    async def signed_in_again(self) -> "Client":
        return Client(self.http, await _token(self.http, self.name), self.name)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = await self.http.request(method, path, headers=self._headers, **options)
        assert response.is_success, response.text
        return response

    async def new_chat(self) -> int:
        return int((await self.call("POST", "/chat/new-chat")).json()["chat_id"])

    @asynccontextmanager
    async def ask(self, chat_id: int) -> AsyncIterator[AsyncIterator[Frame]]:
        body = {"chat_id": chat_id, "message": QUESTION}
        async with self.http.stream("POST", "/chat/message", json=body, headers=self._headers) as response:
            assert response.status_code == 200
            yield arriving(response)

    async def follow(self, turn_id: int, after: int = 0) -> list[Frame]:
        """To the end of the stream."""
        path = f"/chat/turns/{turn_id}/events?after={after}"
        return read_frames((await self.call("GET", path)).content)


@dataclass(frozen=True)
class Desk:
    upstream: AzureOpenAIStandIn
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class LossyDesk(Desk):
    """With a Redis of its own."""

    redis: RedisServer


def shared(folder: Path, upstream: AzureOpenAIStandIn, url: str, prefix: str) -> dict[str, str]:
    where = {"DATA_DIR": str(folder), "REDIS_URL": url, "REDIS_PREFIX": prefix}
    return {**upstream.environment(), **where, "DATABASE_POOL_SIZE": "1"}


@pytest.fixture(scope="module", params=BACKENDS)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two servers."""
    folder = tmp_path_factory.mktemp("shared")
    with ExitStack() as stack:
        url, prefix = stack.enter_context(redis_prefix())
        database = stack.enter_context(empty_database(request.param, folder))
        upstream = stack.enter_context(AzureOpenAIStandIn(pace=0.02))
        upstream.otherwise = ANSWER
        env = {**shared(folder, upstream, url, prefix), "DATABASE_URL": database}
        yield Desk(upstream, tuple(stack.enter_context(live_server(env)) for _ in range(2)))


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LossyDesk]:
    """Two servers whose Redis can be lost; who loses it starts it again."""
    with ExitStack() as stack:
        redis = stack.enter_context(own_redis())
        upstream = stack.enter_context(AzureOpenAIStandIn(pace=0.03))
        upstream.otherwise = ANSWER
        env = shared(tmp_path_factory.mktemp("lossy"), upstream, redis.url, "lost")
        yield LossyDesk(upstream, tuple(stack.enter_context(live_server(env)) for _ in range(2)), redis)


@pytest.fixture
async def workers(desk: Desk) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_open(address)) for address in desk.addresses]


@pytest.fixture
async def lossy_workers(lossy: LossyDesk) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_open(address)) for address in lossy.addresses]


def _open(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=30, trust_env=False)


async def signed_up(http: httpx.AsyncClient) -> Client:
    name = f"user{next(_numbers)}"
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await http.post("/auth/register", json=body)).status_code == 201
    return Client(http, await _token(http, name), name)


async def _token(http: httpx.AsyncClient, name: str) -> str:
    granted = await http.post("/auth/token", data={"username": name, "password": PASSWORD})
    return str(granted.json()["access_token"])


def gapless(frames: list[Frame], after: int = 0) -> None:
    assert [frame.seq for frame in frames] == list(range(after + 1, after + 1 + len(frames)))
    assert frames[-1].name in LAST


async def test_another_worker_tells_the_same_events_at_every_cursor(
    desk: Desk, workers: list[httpx.AsyncClient]
) -> None:
    here = await signed_up(workers[0])
    there = here.on(workers[1])
    async with here.ask(await here.new_chat()) as frames:
        first = await anext(frames)
        turn_id = first.data["turn_id"]
        followers = [asyncio.create_task(there.follow(turn_id, after)) for after in range(1, 60)]
        told = [first, *[frame async for frame in frames]]
    gapless(told)
    assert told[-1].data["message"]["text"] == text_of(told)
    for after, follower in enumerate(followers, 1):
        assert await follower == told[after:]
    for client in (here, there):
        for after in (0, 1, len(told) // 2, len(told) - 1):
            assert await client.follow(turn_id, after) == told[after:]  # from the store


async def test_another_worker_tells_them_as_they_come(desk: Desk, workers: list[httpx.AsyncClient]) -> None:
    """Much sooner than the store, which a growing text reaches twice a second."""
    here = await signed_up(workers[0])
    came: list[dict[int, float]] = [{}, {}]

    async def note(frames: AsyncIterator[Frame], at: dict[int, float]) -> None:
        async for frame in frames:
            at[frame.seq] = time.monotonic()

    async with here.ask(await here.new_chat()) as frames:
        first = await anext(frames)
        path, headers = f"/chat/turns/{first.data['turn_id']}/events", {"Authorization": f"Bearer {here.token}"}
        async with workers[1].stream("GET", path, headers=headers) as response:
            await asyncio.gather(note(frames, came[0]), note(arriving(response), came[1]))
    lags = [came[1][seq] - at for seq, at in came[0].items()]
    assert len(lags) > 50
    assert median(lags) < 0.2


async def test_a_turn_is_stopped_from_another_worker(desk: Desk, workers: list[httpx.AsyncClient]) -> None:
    here = await signed_up(workers[0])
    there = here.on(workers[1])
    desk.upstream.script(Hang(after=5))
    async with here.ask(await here.new_chat()) as frames:
        first = await anext(frames)
        turn_id = first.data["turn_id"]
        follower = asyncio.create_task(there.follow(turn_id))
        begun = time.monotonic()
        stopped = (await there.call("POST", f"/chat/turns/{turn_id}/stop")).json()
        assert time.monotonic() - begun < 2
        told = [first, *[frame async for frame in frames]]
    assert stopped["status"] == "STOPPED"
    gapless(told)
    assert told[-1].data["status"] == "STOPPED"
    assert await follower == told


async def test_a_logout_on_another_worker_ends_the_streams_within_a_second(
    desk: Desk, workers: list[httpx.AsyncClient]
) -> None:
    here = await signed_up(workers[0])
    desk.upstream.script(Hang(after=5))
    async with here.ask(await here.new_chat()) as frames:
        await anext(frames)
        begun = time.monotonic()
        await here.on(workers[1]).call("POST", "/auth/logout")
        told = [frame async for frame in frames]
        assert time.monotonic() - begun < 1
    assert [frame.name for frame in told if frame.name in LAST] == []


async def test_four_workers_of_one_command_serve_each_others_turns(tmp_path: Path) -> None:
    """Every request comes on a new connection, which any worker may take."""
    with ExitStack() as stack:
        url, prefix = stack.enter_context(redis_prefix())
        upstream = stack.enter_context(AzureOpenAIStandIn(pace=0.02))
        upstream.otherwise = ANSWER
        env = {**shared(tmp_path, upstream, url, prefix), "WORKERS": "4", "LOG_FORMAT": "json"}
        address = stack.enter_context(live_server(env, by_command=True))
        async with _open(address) as http:
            client = await signed_up(http)
        await asyncio.gather(*(_follow_by_pieces(address, client) for _ in range(6)))
        upstream.script(*[Hang(after=5)] * 4)
        await asyncio.gather(*(_stop_elsewhere(address, client) for _ in range(4)))


async def _follow_by_pieces(address: str, client: Client) -> None:
    async with _open(address) as http:
        asking = client.on(http)
        async with asking.ask(await asking.new_chat()) as frames:
            seen = [await anext(frames) for _ in range(3)]
    turn_id = seen[0].data["turn_id"]
    for _ in range(6):
        headers = {"Authorization": f"Bearer {client.token}", "Last-Event-ID": str(seen[-1].seq)}
        async with (
            _open(address) as again,
            again.stream("GET", f"/chat/turns/{turn_id}/events", headers=headers) as response,
        ):
            more = arriving(response)
            seen += [await anext(more) for _ in range(5)]
    for after in (seen[-1].seq, 0):
        async with _open(address) as again:
            told = await client.on(again).follow(turn_id, after)
        seen = seen[:after] + told if after else told
        gapless(seen)
    assert seen[-1].data["message"]["text"] == text_of(seen)


async def _stop_elsewhere(address: str, client: Client) -> None:
    async with _open(address) as one, _open(address) as another, _open(address) as third:
        asking = client.on(one)
        async with asking.ask(await asking.new_chat()) as frames:
            first = await anext(frames)
            turn_id = first.data["turn_id"]
            follower = asyncio.create_task(client.on(another).follow(turn_id))
            stopped = (await client.on(third).call("POST", f"/chat/turns/{turn_id}/stop")).json()
            told = [first, *[frame async for frame in frames]]
        assert stopped["status"] == told[-1].data["status"] == "STOPPED"
        gapless(told)
        assert await follower == told


async def test_losing_redis_loses_no_event(lossy: LossyDesk, lossy_workers: list[httpx.AsyncClient]) -> None:
    """Here and elsewhere followers go on to the end; stop and new turns work when it is back."""
    here = await signed_up(lossy_workers[0])
    there = here.on(lossy_workers[1])
    chat_id = await here.new_chat()
    async with here.ask(chat_id) as frames:
        seen = [await anext(frames) for _ in range(10)]
        turn_id = seen[0].data["turn_id"]
        before = asyncio.create_task(there.follow(turn_id))
        seen += [await anext(frames) for _ in range(5)]
        lossy.redis.kill()
        seen += [await anext(frames) for _ in range(5)]
        while_away = asyncio.create_task(there.follow(turn_id, 7))
        seen += [frame async for frame in frames]
    gapless(seen)
    assert seen[-1].name == "turn_completed"
    assert await before == seen
    assert await while_away == seen[7:]
    lossy.upstream.script(Hang(after=5))
    redis_is_back = time.monotonic()
    lossy.redis.start()
    async with here.ask(chat_id) as frames:
        first = await anext(frames)
        stopped = await there.call("POST", f"/chat/turns/{first.data['turn_id']}/stop")
        assert stopped.json()["status"] == "STOPPED"
        gapless([first, *[frame async for frame in frames]])
    assert time.monotonic() - redis_is_back < SOON


async def test_a_logout_elsewhere_ends_the_streams_while_redis_is_away(
    lossy: LossyDesk, lossy_workers: list[httpx.AsyncClient]
) -> None:
    """Only the database knows of it here. The turn, and the user's other logins, go on."""
    leaving = await signed_up(lossy_workers[0])
    staying = await leaving.signed_in_again()
    lossy.upstream.script(Hang(after=5))
    async with leaving.ask(await leaving.new_chat()) as ending:
        first = await anext(ending)
        going_on = asyncio.create_task(staying.follow(first.data["turn_id"]))
        lossy.redis.kill()
        async with asyncio.timeout(SOON):
            await leaving.on(lossy_workers[1]).call("POST", "/auth/logout")
            told = [first, *[frame async for frame in ending]]
    lossy.redis.start()
    assert [frame.name for frame in told if frame.name in LAST] == []
    assert not going_on.done()
    await staying.call("POST", f"/chat/turns/{first.data['turn_id']}/stop")
    gapless(await going_on)


async def test_readiness_names_a_redis_that_is_away(lossy: LossyDesk) -> None:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        for address in lossy.addresses:
            ready = await http.get(f"{address}/readyz")
            assert ready.status_code == 200, ready.text
        lossy.redis.kill()
        for address in lossy.addresses:
            answer = await http.get(f"{address}/readyz")
            assert answer.status_code == 503
            assert list(answer.json()["failed"]) == ["redis"]
        lossy.redis.start()
        for address in lossy.addresses:
            ready = await http.get(f"{address}/readyz")
            assert ready.status_code == 200, ready.text
