"""Short work in worker threads, taken there together."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


@dataclass(slots=True)
class _Read(Generic[K, V]):
    place: K
    read: Callable[[V], Any]
    answer: "asyncio.Future[Any]"
    result: Any = None
    failure: BaseException | None = None


class Reads(Generic[K, V]):
    """What is asked for at the same time is done in one thread, one after the other: to wake a thread, and the event
    loop by it, costs as much as a search whose words are known. Of that, what is read in the same place is read while
    `opened` is entered once. Belongs to one event loop at a time."""

    def __init__(self, opened: Callable[[K], AbstractContextManager[V]]) -> None:
        self._opened = opened
        self._asked: list[_Read[K, V]] = []

    async def run(self, place: K, read: Callable[[V], T]) -> T:
        """What `read` returns of the opened place. Raises what it does, or what opening the place does."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._begin, loop)
        self._asked.append(_Read(place, read, answer))
        return await answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """When all that run in this round of the event loop have asked."""
        asked, self._asked = self._asked, []
        wanted = [it for it in asked if not it.answer.done()]
        if wanted:
            done = loop.run_in_executor(None, self._read_all, wanted)
            done.add_done_callback(lambda done: _tell(wanted, done))

    def _read_all(self, wanted: Sequence[_Read[K, V]]) -> None:
        places: dict[K, list[_Read[K, V]]] = {}
        for it in wanted:
            places.setdefault(it.place, []).append(it)
        for place, reads in places.items():
            done = 0
            while done < len(reads):
                done += self._read_in(place, reads[done:])

    def _read_in(self, place: K, reads: Sequence[_Read[K, V]]) -> int:
        """How many were done: a failure is one read's alone, and closes the place."""
        done = 0
        try:
            with self._opened(place) as opened:
                for it in reads:
                    done += 1
                    it.result = it.read(opened)
        except BaseException as failure:
            done = max(done, 1)
            reads[done - 1].failure = failure
        return done


def _tell(reads: Sequence[_Read[Any, Any]], done: "asyncio.Future[None]") -> None:
    for it in reads:
        if it.answer.done():  # nobody waits for it any more
            continue
        if done.cancelled():
            it.answer.cancel()
        elif failure := done.exception() or it.failure:
            it.answer.set_exception(failure)
        else:
            it.answer.set_result(it.result)
