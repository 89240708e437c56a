"""How the shared turn log and the signals talk to Redis."""

import asyncio

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

ANSWER_WITHIN = 2.0
"""Seconds for connecting, and for each answer beyond the time that a command blocks by itself."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
FAILURES = (RedisError, OSError)


def open_redis(url: str, blocks: float = 0) -> "Redis":
    """A client that connects when it is first used; `blocks` is the longest time in seconds that its commands wait on
    purpose. It repeats nothing: what a lost connection means is for its user to say. Raises ValueError for an address
    that is none."""
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=ANSWER_WITHIN,
        socket_timeout=blocks + ANSWER_WITHIN,
    )


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancels until it is done: a cancellation that meets an answer just arriving is lost inside the client."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


class Pause:
    """How long to leave Redis alone after a failure, in seconds: longer each time, until something works."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def take(self) -> float:
        pause, self._next = self._next, min(2 * self._next, LONGEST_PAUSE)
        return pause

    def reset(self) -> None:
        self._next = FIRST_PAUSE
