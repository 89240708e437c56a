"""Followers that do not read: they hold nobody up, cost little memory, and lose nothing."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.agents.grounding import NOT_GROUNDED
from tests.followers import TRANSPORTS, Event, Follower, checked
from tests.live_server import Running, live_server
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang

ANSWER = " ".join(f"{number:08}" * 500 for number in range(2_000))
"""8 MB in pieces of 4 KB: more than what the kernel keeps between a server and a client."""
TOLD = f"{ANSWER}\n\n{NOT_GROUNDED}"
SLOW = 20
"""Followers on each transport."""
RECEIVE_BUFFER = 65_536


@dataclass(frozen=True)
class Server:
    base: str
    process: Running

    @property
    def peak(self) -> int:
        """The most memory that it had resident since its start, in bytes (proc(5), VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture
def server(upstream: AzureOpenAIStandIn) -> Iterator[Server]:
    processes: list[Running] = []
    settings = {
        "MAX_ANSWER_CHARACTERS": "10000000",
        "TURN_LOG_LINGER_SECONDS": "0",
        "TURN_SILENCE_SECONDS": "120",
    }
    with live_server({**upstream.environment(), **settings}, forked=False, processes=processes) as base:
        yield Server(base, processes[0])


async def read(events: AsyncGenerator[Event, None], seen: Sequence[Event] = ()) -> list[Event]:
    """To the end, after what was `seen`."""
    return [*seen, *[event async for event in events]]


async def quick(follower: Follower, turn_id: int) -> list["asyncio.Task[list[Event]]"]:
    """One on each transport, which has seen the first event."""
    following = [follower.resume(transport, turn_id) for transport in TRANSPORTS]
    return [asyncio.create_task(read(events, [await anext(events)])) for events in following]


async def test_followers_that_do_not_read_slow_nobody_and_cost_little(
    server: Server, upstream: AzureOpenAIStandIn
) -> None:
    """Compared with what the server needs for the same turn without them."""
    async with Follower.signed_up(server.base, RECEIVE_BUFFER) as follower:
        chat_id = await follower.new_chat()
        for _ in range(2):
            asked = follower.ask("rest", chat_id)
            seen = [await anext(asked)]
            readers = await quick(follower, seen[0].turn_id)
            assert checked(seen + await read(asked)) == TOLD
            await asyncio.gather(*readers)
        before = server.peak

        upstream.script(Hang(after=1))
        asked = follower.ask("rest", chat_id)
        seen = [await anext(asked)]
        turn_id = seen[0].turn_id
        slow = [follower.resume(transport, turn_id) for transport in TRANSPORTS for _ in range(SLOW)]
        begun = [[await anext(events)] for events in slow]
        readers = await quick(follower, turn_id)
        upstream.release()
        seen += await read(asked)
        assert checked(seen) == await follower.stored_text(chat_id) == TOLD
        for reader in readers:
            assert await reader == seen
        assert server.peak - before < len(ANSWER) * len(slow) / 2

        for number in range(0, len(slow), SLOW):
            assert begun[number] + await read(slow[number]) == seen, "the slow one reads on"
        for events in slow:
            await events.aclose()
