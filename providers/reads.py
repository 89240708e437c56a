"""Short work in worker threads, taken there together."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Reads:
    """What is asked for at the same time is done in one thread, one after the other: to wake a thread, and the event
    loop by it, costs as much as a search whose words are known. Belongs to one event loop at a time."""

    def __init__(self) -> None:
        self._asked: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    async def run(self, read: Callable[[], T]) -> T:
        """What `read` returns or raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._begin, loop)
        self._asked.append((read, answer))
        return await answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """When all that run in this round of the event loop have asked."""
        asked, self._asked = self._asked, []
        wanted = [(read, answer) for read, answer in asked if not answer.done()]
        if wanted:
            done = loop.run_in_executor(None, _all, [read for read, _ in wanted])
            done.add_done_callback(lambda done: _answer([answer for _, answer in wanted], done))


def _all(reads: list[Callable[[], Any]]) -> list[tuple[Any, BaseException | None]]:
    outcomes: list[tuple[Any, BaseException | None]] = []
    for read in reads:
        try:
            outcomes.append((read(), None))
        except Exception as failure:
            outcomes.append((None, failure))
    return outcomes


def _answer(
    answers: list["asyncio.Future[Any]"], done: "asyncio.Future[list[tuple[Any, BaseException | None]]]"
) -> None:
    for place, answer in enumerate(answers):
        if answer.done():  # nobody waits for it any more
            continue
        if done.cancelled():
            answer.cancel()
        elif failed := done.exception():
            answer.set_exception(failed)
        else:
            result, failure = done.result()[place]
            if failure is None:
                answer.set_result(result)
            else:
                answer.set_exception(failure)
