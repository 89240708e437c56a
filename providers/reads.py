"""Short work, done together: in a thread, or at once where that takes less than to wake one (docs/decisions/0065)."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

AT_ONCE = 0.004
"""Seconds for which the event loop may be kept from all else."""
FORGOTTEN = 0.1
"""The part of what a slow round took that the next one is not expected to take any more."""


@dataclass(slots=True)
class _Read(Generic[K, V]):
    place: K
    read: Callable[[V], Any]
    brief: bool
    answer: "asyncio.Future[Any]"
    result: Any = None
    failure: BaseException | None = None

    def tell(self) -> None:
        if self.answer.done():  # nobody waits for it any more
            return
        if self.failure is not None:
            self.answer.set_exception(self.failure)
        else:
            self.answer.set_result(self.result)


class Reads(Generic[K, V]):
    """What is asked for at the same time is done in one thread, one after the other: to wake a thread, and the event
    loop by it, costs as much as a search whose words are known. Of that, what is read in the same place is read while
    `opened` is entered once. What is brief is done in the event loop itself, for as long as it turns out to take less
    than AT_ONCE. Belongs to one event loop at a time."""

    def __init__(self, opened: Callable[[K], AbstractContextManager[V]]) -> None:
        self._opened = opened
        self._asked: list[_Read[K, V]] = []
        self._takes = 5 * AT_ONCE
        """Seconds that a round of what is brief is expected to take; the first ones open what later ones find open."""

    def run(self, place: K, read: Callable[[V], T], *, brief: bool = False) -> "asyncio.Future[T]":
        """What `read` returns of the opened place. Fails as it does, or as opening the place does. What is `brief` waits
        for nobody else."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._begin, loop)
        self._asked.append(_Read(place, read, brief, answer))
        return answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """When all that run in this round of the event loop have asked."""
        asked, self._asked = self._asked, []
        wanted = [it for it in asked if not it.answer.done()]
        if not wanted:
            return
        brief = all(it.brief for it in wanted)
        if brief and self._takes < AT_ONCE:
            self._read_all(wanted, time.perf_counter)
            for it in wanted:
                it.tell()
        else:  # where others run beside it, it is not to blame for what they take
            done = loop.run_in_executor(None, self._read_all, wanted, time.thread_time if brief else None)
            done.add_done_callback(lambda done: _tell(wanted, done))

    def _read_all(self, wanted: Sequence[_Read[K, V]], clock: Callable[[], float] | None) -> None:
        """By the `clock`, if there is one, it is told how long a round takes."""
        begun = clock() if clock else 0.0
        places: dict[K, list[_Read[K, V]]] = {}
        for it in wanted:
            places.setdefault(it.place, []).append(it)
        for place, reads in places.items():
            done = 0
            while done < len(reads):
                done += self._read_in(place, reads[done:])
        if clock:
            self._takes = max(clock() - begun, (1 - FORGOTTEN) * self._takes)

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
        if done.cancelled():
            it.answer.cancel()
            continue
        it.failure = done.exception() or it.failure
        it.tell()
