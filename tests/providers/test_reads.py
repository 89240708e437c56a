"""Short work: what is asked for at the same time is done together, in a thread or at once, and each gets its own answer."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from providers.reads import AT_ONCE, Reads


class Places:
    """What was opened and closed, in order; `broken` cannot be opened."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def opened(self, place: str) -> Iterator[str]:
        if place == "broken":
            raise LookupError(place)
        self.told.append(f"open {place}")
        try:
            yield place
        finally:
            self.told.append(f"close {place}")


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
async def reads(places: Places) -> Reads[str, str]:
    return Reads(places.opened)


def fail(place: str) -> str:
    raise ValueError(place)


async def test_what_is_asked_at_once_is_done_in_one_thread_in_order(reads: Reads[str, str]) -> None:
    done = list[tuple[int, int]]()

    def work(number: int) -> Callable[[str], int]:
        def read(_: str) -> int:
            done.append((number, threading.get_ident()))
            return number * 2

        return read

    assert await asyncio.gather(*(reads.run("here", work(n)) for n in range(5))) == [0, 2, 4, 6, 8]
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in done}) == 1
    assert threading.get_ident() != done[0][1]


async def test_what_is_read_in_one_place_opens_it_once(reads: Reads[str, str], places: Places) -> None:
    asked = [reads.run(place, str.upper) for place in ("a", "b", "a", "b", "c")]
    assert await asyncio.gather(*asked) == ["A", "B", "A", "B", "C"]
    assert places.told == [f"{what} {place}" for place in "abc" for what in ("open", "close")]


async def test_a_failure_is_its_askers_alone_and_closes_the_place(reads: Reads[str, str], places: Places) -> None:
    asked = [reads.run("a", read) for read in (str.upper, fail, str.lower, fail)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["'A'", "ValueError('a')", "'a'", "ValueError('a')"]
    assert places.told == ["open a", "close a"] * 2


async def test_what_cannot_be_opened_fails_for_all_who_ask_for_it(reads: Reads[str, str]) -> None:
    asked = [reads.run(place, str.upper) for place in ("broken", "a", "broken")]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["LookupError('broken')", "'A'", "LookupError('broken')"]


async def test_who_leaves_takes_nothing_from_the_others(reads: Reads[str, str]) -> None:
    go_on = threading.Event()
    leaving = reads.run("a", lambda _: go_on.wait())
    staying = reads.run("a", str.upper)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await staying == "A"


async def test_who_left_before_it_began_is_not_read_for(reads: Reads[str, str]) -> None:
    read = list[str]()
    leaving = reads.run("a", lambda _: read.append("left"))
    leaving.cancel()
    await asyncio.wait([leaving])
    await reads.run("a", lambda _: read.append("stayed"))
    assert read == ["stayed"]


def thread(_: str) -> int:
    return threading.get_ident()


async def brief_ones(reads: Reads[str, str], read: Callable[[str], int]) -> int:
    """How often it is brief in a thread before it is done in the event loop."""
    for number in range(100):
        if await reads.run("a", read, brief=True) == threading.get_ident():
            return number
    raise AssertionError("never in the event loop")


async def test_what_is_brief_is_done_in_the_event_loop_once_it_turned_out_to_be(reads: Reads[str, str]) -> None:
    assert await brief_ones(reads, thread) > 0
    assert await reads.run("a", thread, brief=True) == threading.get_ident()
    together = await asyncio.gather(reads.run("a", thread, brief=True), reads.run("b", thread))
    assert len(set(together)) == 1
    assert threading.get_ident() not in together
    assert await reads.run("a", thread) != threading.get_ident()


async def test_what_was_not_brief_keeps_the_next_ones_in_threads_for_a_while(reads: Reads[str, str]) -> None:
    await brief_ones(reads, thread)

    def tarry(_: str) -> int:
        until = time.perf_counter() + 3 * AT_ONCE
        while time.perf_counter() < until:
            pass
        return threading.get_ident()

    assert await reads.run("a", tarry, brief=True) == threading.get_ident()
    assert await brief_ones(reads, thread) > 0


async def test_in_the_event_loop_too_a_failure_is_its_askers_alone(reads: Reads[str, str], places: Places) -> None:
    await brief_ones(reads, thread)
    places.told.clear()
    asked = [
        reads.run("a", str.upper, brief=True),
        reads.run("a", fail, brief=True),
        reads.run("broken", str.upper, brief=True),
        reads.run("a", str.lower, brief=True),
    ]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["'A'", "ValueError('a')", "LookupError('broken')", "'a'"]
    assert places.told == ["open a", "close a"] * 2
