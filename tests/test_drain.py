"""Stopping a server that is at work: real processes and signals, followers on all three transports."""

import asyncio
import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from drain import CLOSING, SUPERVISOR, Deadlines
from settings import HOUSE
from tests.live_server import Running, live_server
from tests.redis_servers import redis_prefix
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang
from tests.transports import PATIENCE, QUESTION, Server, Told, User, global_id, subscribe

ANSWER = "The Nano plan costs $9 a month [1]. " + " ".join(f"Größe{n}" for n in range(30))
LONG, SHORT = "60", "6"
"""SHUTDOWN_SECONDS: longer than any test waits, and short enough to wait for."""
ENDED_BY_SIGTERM = -signal.SIGTERM
"""How uvicorn ends in good order; the kernel's alarm would leave -SIGALRM."""
SEND = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq } }"
PASSWORD = "a_strong_password"
_numbers = itertools.count(1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def until_red(user: User) -> dict[str, Any]:
    """What /readyz says once it is not ready."""
    async with asyncio.timeout(PATIENCE):
        while (ready := await user.http.get(user.at("/readyz"))).status_code == 200:
            await asyncio.sleep(0.01)
    assert ready.status_code == 503
    told: dict[str, Any] = ready.json()
    return told


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the index and the secrets are, the same for all."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False, limits=limits) as http:
        yield http


@pytest.fixture
def serve(upstream: AzureOpenAIStandIn, data: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that share the test's database."""
    database = tmp_path / "desk.sqlite3"
    shared = {"DATA_DIR": str(data), "DATABASE_URL": f"sqlite+aiosqlite:///{database}", **upstream.environment()}
    with ExitStack() as stack:

        def start(seconds: str, *, by_command: bool = False, tracebacks: bool = False, **variables: str) -> Server:
            processes: list[Running] = []
            env = {**shared, "SHUTDOWN_SECONDS": seconds, **variables}
            server = live_server(env, by_command=by_command, tracebacks=tracebacks, processes=processes)
            return Server(stack.enter_context(server), processes[0], database)

        yield start
        upstream.release()


async def signed_up(server: Server, http: httpx.AsyncClient) -> User:
    name = f"user{next(_numbers)}"
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await http.post(f"{server.url}/api/v1/auth/register", json=body)).status_code == 201
    granted = await http.post(f"{server.url}/api/v1/auth/token", data={"username": name, "password": PASSWORD})
    return User(server, http, granted.json()["access_token"])


@contextmanager
def following(user: User, turn_id: int) -> Iterator[list[tuple[Told, "asyncio.Task[None]"]]]:
    """One follower from the first event on each transport."""
    tolds = [Told() for _ in user.transports]
    tasks = [asyncio.create_task(follow(turn_id, 0, told)) for follow, told in zip(user.transports, tolds, strict=True)]
    try:
        yield list(zip(tolds, tasks, strict=True))
    finally:
        for task in tasks:
            task.cancel()


def whole(told: Told) -> None:
    """Every event once and in order, and the text that is stored."""
    assert told.seqs == list(range(1, len(told.seqs) + 1))
    assert told.last is not None
    assert told.text == told.last["message"]["text"]


async def test_turns_end_within_the_grace_while_new_ones_are_refused(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    server = serve(LONG)
    user = await signed_up(server, http)
    chat_id, other = await user.new_chat(), await user.new_chat()
    upstream.script(Hang(after=5))
    turn_id = await user.begin(chat_id, "key")
    with following(user, turn_id) as before:
        await until(lambda: all(told.text for told, _ in before))
        server.terminate()
        assert (await until_red(user))["status"] == "draining"
        server.terminate()  # as a supervisor may, after a Ctrl-C that reached its workers: it hurries nobody
        refused = await user.post_message(other)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert refused.json()["error"]["retryable"] is True
        assert int(refused.headers["retry-after"]) > 0
        assert await _refusal_by_graphql(user, other) == ("SERVICE_UNAVAILABLE", True)
        again = asyncio.create_task(user.post_message(chat_id, "key"))
        with following(user, turn_id) as resumed:
            await until(lambda: all(told.text for told, _ in resumed))
            assert server.process.poll() is None
            upstream.release()
            for told, task in before + resumed:
                await task
                whole(told)
                assert told.text == ANSWER
        assert b"event: turn_completed" in (await again).content
    assert await server.ended() == ENDED_BY_SIGTERM
    assert server.turns() == [("COMPLETED", ANSWER)]


async def _refusal_by_graphql(user: User, chat_id: int) -> tuple[str, bool]:
    variables = {"input": {"sessionId": global_id("ChatSession", chat_id), "text": QUESTION}}
    async with user.socket({"authorization": f"Bearer {user.token}"}) as connection:
        await subscribe(connection, SEND, variables)
        told = json.loads(await connection.recv())
    assert told["type"] == "error"
    ((extensions),) = [error["extensions"] for error in told["payload"]]
    return extensions["code"], extensions["retryable"]


async def test_what_runs_after_the_grace_is_interrupted_with_its_text_kept(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    server = serve(SHORT, MAX_CONCURRENT_TURNS="1")
    user = await signed_up(server, http)
    upstream.script(Hang(after=5))
    turn_id = await user.begin(await user.new_chat())
    with following(user, turn_id) as followers:
        await until(lambda: all(told.text for told, _ in followers))
        waiting = await user.begin(await user.new_chat())
        with following(user, waiting) as others:
            await until(lambda: all(told.seqs for told, _ in others))
            server.terminate()
            for told, task in followers + others:
                await task
                whole(told)
                assert told.last is not None
                assert told.last["status"] == "INTERRUPTED"
                assert told.last["error"]["retryable"] is True
            assert all(told.text and ANSWER.startswith(told.text) for told, _ in followers)
    kept = followers[0][0].text
    assert await server.ended() == ENDED_BY_SIGTERM
    assert server.turns() == [("INTERRUPTED", kept), ("INTERRUPTED", "")]


async def test_followers_of_turns_that_run_elsewhere_are_told_to_go_on_there(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    with redis_prefix() as (url, prefix):
        here, there = (serve(LONG, REDIS_URL=url, REDIS_PREFIX=prefix) for _ in range(2))
        user = await signed_up(here, http)
        upstream.script(Hang(after=5))
        turn_id = await user.begin(await user.new_chat())
        async with (
            user.on(there).socket({"authorization": f"Bearer {user.token}"}) as idle,
            user.on(there).socket(None) as anonymous,
        ):
            with following(user.on(there), turn_id) as followers:
                await until(lambda: all(told.text for told, _ in followers))
                there.terminate()
                for told, task in followers:
                    await task
                    assert told.last is None
                    assert told.closing is not None
                    assert (told.closing["code"], told.closing["retryable"]) == ("SERVICE_UNAVAILABLE", True)
                    assert told.closing["after"] == told.cursor
            assert [told.close_code for told, _ in followers] == [None, None, 1012]
            for connection in (idle, anonymous):
                with pytest.raises(websockets.ConnectionClosed):
                    await connection.recv()
                assert connection.close_code == 1012
        assert await there.ended() == ENDED_BY_SIGTERM
        for told, _ in followers:
            told.closing = None
        resuming = [
            asyncio.create_task(follow(turn_id, told.cursor, told))
            for follow, (told, _) in zip(user.transports, followers, strict=True)
        ]
        upstream.release()
        await asyncio.gather(*resuming)
        for told, _ in followers:
            whole(told)
            assert told.text == ANSWER
        here.terminate()
        assert await here.ended() == ENDED_BY_SIGTERM
        assert here.turns() == [("COMPLETED", ANSWER)]


@pytest.mark.parametrize("by_command", [True, False])
async def test_an_idle_server_is_gone_at_once(
    serve: Callable[..., Server], http: httpx.AsyncClient, by_command: bool
) -> None:
    server = serve(LONG, by_command=by_command)
    begun = time.monotonic()
    server.terminate()
    assert await server.ended() == ENDED_BY_SIGTERM
    assert time.monotonic() - begun < float(LONG) / 6


async def test_a_client_that_does_not_read_keeps_no_server_alive(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    """More than the buffers between the two hold is left to be sent to it."""
    server = serve("15", tracebacks=True, MAX_ANSWER_CHARACTERS="10000000")
    user = await signed_up(server, http)
    upstream.script(f"{'x' * 200_000} " * 40)
    turn_id = await user.begin(await user.new_chat())
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as deaf:
        request = f"GET /api/v1/chat/turns/{turn_id}/events HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {user.token}\r\n\r\n"
        deaf.sendall(request.encode())
        await until(lambda: bool(deaf.recv(1, socket.MSG_PEEK)))
        told = Told()
        await user.follow_rest(turn_id, 0, told)
        whole(told)
        server.terminate()
        assert await server.ended() == ENDED_BY_SIGTERM
    assert [status for status, _ in server.turns()] == ["COMPLETED"]


async def test_a_second_ctrl_c_ends_the_grace(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    server = serve(LONG, by_command=True)
    user = await signed_up(server, http)
    upstream.script(Hang(after=5))
    turn_id = await user.begin(await user.new_chat())
    with following(user, turn_id) as followers:
        await until(lambda: all(told.text for told, _ in followers))
        server.process.send_signal(signal.SIGINT)
        await until_red(user)
        server.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):  # the grace is longer
            for told, task in followers:
                await task
                whole(told)
    await server.ended()
    assert [status for status, _ in server.turns()] == ["INTERRUPTED"]


async def test_every_worker_of_a_supervisor_drains(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    with redis_prefix() as (url, prefix):
        server = serve(SHORT, by_command=True, REDIS_URL=url, REDIS_PREFIX=prefix, WORKERS="2")
        user = await signed_up(server, http)
        upstream.script(*[Hang(after=5)] * 8)
        turns = [await user.begin(await user.new_chat()) for _ in range(8)]
        tolds = [Told() for _ in turns]
        tasks = [
            asyncio.create_task(user.follow_rest(turn_id, 0, told)) for turn_id, told in zip(turns, tolds, strict=True)
        ]
        await until(lambda: all(told.text for told in tolds))
        server.terminate()
        await asyncio.gather(*tasks)
        assert await server.ended() == 0
    for told in tolds:  # a follower on the other worker is told that, or to reconnect
        assert (told.last is None) is (told.closing is not None)
    assert [status for status, _ in server.turns()] == ["INTERRUPTED"] * len(turns)
    with pytest.raises(httpx.ConnectError):
        await http.get(f"{server.url}/healthz")


async def test_only_so_many_turns_wait(
    serve: Callable[..., Server], upstream: AzureOpenAIStandIn, http: httpx.AsyncClient
) -> None:
    server = serve(SHORT, MAX_CONCURRENT_TURNS="1", MAX_WAITING_TURNS="1")
    user = await signed_up(server, http)
    upstream.script(Hang(after=5))
    chats = [await user.new_chat() for _ in range(3)]
    running, _ = [await user.begin(chat_id) for chat_id in chats[:2]]
    refused = await user.post_message(chats[2])
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "restarting" not in refused.json()["error"]["message"]
    await http.post(user.at(f"/api/v1/chat/turns/{running}/stop"), headers=user.headers)
    assert b"event: turn_completed" in (await user.post_message(chats[2])).content


BLOCKED = """
import asyncio, signal, time
from domain.runner import TurnLimits, TurnRunner
from domain.streams import OpenStreams
from drain import Deadlines, Drain
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals

async def main():
    signals = MemorySignals()
    runner = TurnRunner(None, None, MemoryTurnLog(), signals, TurnLimits())
    with Drain(runner, OpenStreams(signals), Deadlines.of(2)).before_signals():
        print("up", flush=True)
        time.sleep(600)

signal.signal(signal.SIGTERM, lambda *_: None)
asyncio.run(main())
"""


def test_the_kernel_ends_a_process_that_hangs() -> None:
    with subprocess.Popen([sys.executable, "-c", BLOCKED], cwd=HOUSE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.terminate()
            assert process.wait(PATIENCE) == -signal.SIGALRM
        finally:
            with suppress(ProcessLookupError):
                process.kill()


@pytest.mark.parametrize("seconds", [2.0, 25.0, 600.0])
def test_the_parts_of_the_time_fit_in_it(seconds: float) -> None:
    deadlines = Deadlines.of(seconds)
    parts = deadlines.grace + 3 * deadlines.step + CLOSING
    assert parts == pytest.approx(deadlines.last)
    assert deadlines.last + SUPERVISOR == pytest.approx(seconds)
    assert min(deadlines.grace, deadlines.step) > 0
