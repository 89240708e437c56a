"""Short work in threads: what is asked for at the same time goes there together, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from providers.reads import Reads


async def test_what_is_asked_at_once_is_done_in_one_thread_in_order() -> None:
    reads, done = Reads(), list[tuple[int, int]]()

    def work(number: int) -> Callable[[], int]:
        def read() -> int:
            done.append((number, threading.get_ident()))
            return number * 2

        return read

    assert await asyncio.gather(*(reads.run(work(n)) for n in range(5))) == [0, 2, 4, 6, 8]
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in done}) == 1
    assert threading.get_ident() != done[0][1]


async def test_a_failure_is_its_askers_alone() -> None:
    def broken() -> int:
        raise ValueError("broken")

    reads = Reads()
    outcomes = await asyncio.gather(*(reads.run(read) for read in (int, broken, int)), return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["0", "ValueError('broken')", "0"]


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    reads, go_on = Reads(), threading.Event()
    leaving = asyncio.create_task(reads.run(go_on.wait))
    staying = asyncio.create_task(reads.run(lambda: "here"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await staying == "here"


async def test_who_left_before_it_began_is_not_read_for() -> None:
    reads, read = Reads(), list[str]()
    leaving = asyncio.create_task(reads.run(lambda: read.append("left")))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    await reads.run(lambda: read.append("stayed"))
    assert read == ["stayed"]
