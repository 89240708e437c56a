"""No database connection is held while an answer streams: one connection is enough for two hundred streams."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.databases import BACKENDS, empty_database
from tests.followers import TRANSPORTS, Event, Follower, checked
from tests.live_server import live_server
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang

TURNS = 102
"""Each has two streams."""
ANSWER = "The Nano plan costs $9 a month [1]. " + " ".join(f"Größe{n}" for n in range(24))


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn(pace=0.05) as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture(params=BACKENDS)
def base(request: pytest.FixtureRequest, tmp_path: Path, upstream: AzureOpenAIStandIn) -> Iterator[str]:
    with ExitStack() as stack:
        database = stack.enter_context(empty_database(request.param, tmp_path))
        settings = {"DATABASE_URL": database, "DATABASE_POOL_SIZE": "1", "TURN_SILENCE_SECONDS": "120"}
        yield stack.enter_context(live_server({**upstream.environment(), **settings}))


class Streams:
    """Counts those over which text has begun to come."""

    def __init__(self) -> None:
        self.flowing = 0
        self._changed = asyncio.Event()

    async def read(self, events: AsyncIterator[Event], first: asyncio.Future[Event] | None = None) -> list[Event]:
        """To the end. `first` is given the first event."""
        seen: list[Event] = []
        async for event in events:
            if first is not None and not seen:
                first.set_result(event)
            if event.text and not any(before.text for before in seen):
                self.flowing += 1
                self._changed.set()
            seen.append(event)
        return seen

    async def until(self, flowing: int) -> None:
        while self.flowing < flowing:
            self._changed.clear()
            await self._changed.wait()


async def one_of(*awaited: asyncio.Future[Any]) -> None:
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)


async def test_two_hundred_streams_at_once_on_one_database_connection(base: str, upstream: AzureOpenAIStandIn) -> None:
    """Every model call hangs in the middle of its answer until all streams flow."""
    upstream.script(*[Hang(after=3)] * TURNS)
    streams = Streams()
    async with Follower.signed_up(base) as follower:
        chats = [await follower.new_chat() for _ in range(TURNS)]

        async def both(number: int) -> tuple[list[Event], list[Event]]:
            first: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
            asked = follower.ask(TRANSPORTS[number % 3], chats[number])
            asking = asyncio.create_task(streams.read(asked, first))
            await one_of(asking, first)
            assert first.done(), asking.result()
            again = follower.resume(TRANSPORTS[(number + 1) % 3], first.result().turn_id)
            return await asyncio.gather(asking, streams.read(again))

        running = asyncio.gather(*(both(number) for number in range(TURNS)))
        flowing = asyncio.create_task(streams.until(2 * TURNS))
        await one_of(running, flowing)
        assert flowing.done(), await running
        assert await follower.new_chat(), "there is room for everybody else too"
        upstream.release()
        for number, (asked, followed) in enumerate(await running):
            assert checked(asked) == await follower.stored_text(chats[number]) != ""
            assert followed == asked
