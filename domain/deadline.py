"""When a wait for something outside has to be over, known to whoever waits: between the turn that has the deadline and the
connection that would sleep through it lie libraries, so it is a context variable."""

import math
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def deadline() -> float:
    """In the event loop's time; infinity where there is none."""
    return _deadline.get()


class until:  # noqa: N801 – it reads as what it is: with until(moment)
    """What is done in this context has to be over at `moment`, or at an earlier deadline that it is in already."""

    __slots__ = ("_moment", "_token")

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def __enter__(self) -> None:
        self._token = _deadline.set(min(self._moment, _deadline.get()))

    def __exit__(self, *raised: object) -> None:
        _deadline.reset(self._token)
