"""When a wait for something outside has to be over, known to whoever waits: between the turn that has the deadline and the
connection that would sleep through it lie libraries, so it is a context variable."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def deadline() -> float:
    """In the event loop's time; infinity where there is none."""
    return _deadline.get()


@contextmanager
def until(moment: float) -> Iterator[None]:
    """What is done in this context has to be over at `moment`, or at an earlier deadline that it is in already."""
    token = _deadline.set(min(moment, _deadline.get()))
    try:
        yield
    finally:
        _deadline.reset(token)
