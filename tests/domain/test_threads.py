"""Work in threads: each piece is done once, by at most so many at a time, and is answered where it was asked for."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from domain.threads import Threads, wait_for

MOST = 3


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads(MOST, "tested")
    yield threads
    threads.close()


async def test_it_is_done_in_another_thread_and_answered_here(threads: Threads) -> None:
    assert await threads.run(threading.get_ident) != threading.get_ident()


async def test_what_it_raises_is_raised(threads: Threads) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    assert await threads.run(lambda: "goes on") == "goes on"


async def test_so_many_work_at_a_time_and_the_others_wait(threads: Threads) -> None:
    together, alone = threading.Barrier(MOST), threading.Lock()
    at_once: list[int] = []

    def work() -> int:
        with alone:
            at_once.append(1)
            most = len(at_once)
        together.wait(30)
        with alone:
            at_once.pop()
        return most

    counted = await asyncio.gather(*(threads.run(work) for _ in range(2 * MOST)))
    assert max(counted) == MOST


async def test_one_after_the_other_needs_one_thread(threads: Threads) -> None:
    assert len({await threads.run(threading.get_ident) for _ in range(10)}) == 1


async def test_it_is_done_though_nobody_waits_any_more(threads: Threads) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        done.set()

    leaving = threads.run(work)
    await threads.run(begun.wait)
    leaving.cancel()
    go_on.set()
    assert await threads.run(lambda: done.wait(30))


async def test_closing_waits_for_what_was_begun() -> None:
    threads, done = Threads(1, "tested"), list[int]()
    answers = [threads.run(lambda: done.append(1)) for _ in range(5)]
    threads.close()
    assert done == [1] * 5
    await asyncio.gather(*answers)
    assert await threads.run(lambda: "again") == "again"
    threads.close()


def test_an_event_loop_that_ended_is_told_nothing() -> None:
    go_on = threading.Event()
    threads = Threads(1, "tested")

    async def ask_and_leave() -> None:
        threads.run(go_on.wait)

    asyncio.run(ask_and_leave())
    go_on.set()
    threads.close()


async def test_work_waits_for_the_event_loop(threads: Threads) -> None:
    loop = asyncio.get_running_loop()

    async def here() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    async def refuse() -> None:
        raise LookupError

    assert await threads.run(lambda: wait_for(here, loop)) == threading.get_ident()
    with pytest.raises(LookupError):
        await threads.run(lambda: wait_for(refuse, loop))
