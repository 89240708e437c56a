"""The suite of the Signals port, run over every implementation, from the process that speaks to itself and to another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from domain.ports import LoginsEnded, Signal, Signals, StopRequested
from providers.memory_signals import MemorySignals
from providers.redis_signals import RedisSignals
from tests.redis_servers import redis_prefix

SIGNALS: list[Signal] = [StopRequested(2**53 + 1), LoginsEnded(("a", "ü")), LoginsEnded(()), StopRequested(1)]


@dataclass
class Ear:
    """A handler that keeps what it hears."""

    heard: list[Signal] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, signal: Signal) -> None:
        self.heard.append(signal)
        self.called.set()

    async def until(self, number: int) -> list[Signal]:
        async with asyncio.timeout(5):
            while len(self.heard) < number:
                self.called.clear()
                await self.called.wait()
        return self.heard


@pytest.fixture(params=["memory", "redis", "redis, elsewhere"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Signals, Signals]]:
    """Who speaks, and who hears."""
    if request.param == "memory":
        memory = MemorySignals()
        yield memory, memory
        return
    with redis_prefix() as (url, prefix):
        here, elsewhere = RedisSignals(url, prefix), RedisSignals(url, prefix)
        await here.start()
        await elsewhere.start()
        yield here, here if request.param == "redis" else elsewhere
        await here.close()
        await elsewhere.close()


async def test_every_handler_hears_every_signal_once_and_in_order(ends: tuple[Signals, Signals]) -> None:
    speaker, hearer = ends
    ears = [Ear(), Ear()]
    for ear in ears:
        hearer.subscribe(ear)
    for signal in SIGNALS:
        await speaker.publish(signal)
    for ear in ears:
        assert await ear.until(len(SIGNALS)) == SIGNALS


async def test_a_signal_is_heard_at_once_where_it_was_sent(ends: tuple[Signals, Signals]) -> None:
    speaker, _ = ends
    ear = Ear()
    speaker.subscribe(ear)
    await speaker.publish(StopRequested(1))
    assert ear.heard == [StopRequested(1)]


async def test_without_handlers_nothing_happens(ends: tuple[Signals, Signals]) -> None:
    speaker, _ = ends
    await speaker.publish(StopRequested(1))
