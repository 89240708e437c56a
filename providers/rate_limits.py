"""Rate limits over a moving window, in the notation of the limits library ("20/minute", "100 per 2 hours").

`WindowRateLimiter` counts in this process, `RedisRateLimiter` across all that share a Redis.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import cast

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from domain.errors import RateLimited
from domain.ports import RateLimiter

REDIS_TIMEOUT = 2.0
"""Seconds for connecting and for each answer: a login must not wait long for its own limit."""


class WindowRateLimiter(RateLimiter):
    """`rules` maps the name of each rule to its limit; `clock` counts seconds. Raises ValueError for one that does not parse.

    The windows are our own: limits' memory storage looks at every key after each hit (0.25 s of CPU with 5,000 keys).
    """

    def __init__(self, rules: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._windows = {rule: _Window(item) for rule, item in _parsed(rules).items()}
        self._clock = clock

    async def hit(self, rule: str, key: str) -> None:
        wait = self._windows[rule].acquire(key, self._clock())
        if wait > 0:
            raise _refusal(wait)

    def keys(self, rule: str) -> int:
        """How many keys the rule remembers."""
        return len(self._windows[rule].times)


class RedisRateLimiter(RateLimiter):
    """Counts in Redis (`url`: redis://, rediss:// or unix://). While it cannot be reached each process counts for
    itself: losing Redis neither locks people out nor lets guessing go on unlimited. Needs the redis library."""

    def __init__(
        self, rules: Mapping[str, str], url: str, key_prefix: str = "answerdesk:limits", timeout: float = REDIS_TIMEOUT
    ) -> None:
        self._items = _parsed(rules)
        self._fallback = WindowRateLimiter(rules)
        scheme, separator, rest = url.partition("://")
        self._storage = RedisStorage(
            f"async+{'redis+unix' if scheme == 'unix' else scheme}{separator}{rest}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=key_prefix,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
        )
        self._limiter = MovingWindowRateLimiter(self._storage)

    async def hit(self, rule: str, key: str) -> None:
        item = self._items[rule]
        identifiers = (rule, hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest())
        try:
            if await self._limiter.hit(item, *identifiers):
                return
            window = await self._limiter.get_window_stats(item, *identifiers)
        except StorageError as error:
            structlog.get_logger(__name__).warning("rate_limits_without_redis", rule=rule, error=str(error))
            await self._fallback.hit(rule, key)
            return
        raise _refusal(window.reset_time - time.time())

    async def close(self) -> None:
        await cast(RedispyBridge, self._storage.bridge).storage.aclose()


class _Window:
    """The times of the last uses by key, the key used least recently first, so that forgetting costs O(1) a hit."""

    def __init__(self, item: RateLimitItem) -> None:
        self._amount = item.amount
        self._seconds = item.get_expiry()
        self.times: OrderedDict[str, list[float]] = OrderedDict()

    def acquire(self, key: str, now: float) -> float:
        """Counts a use and returns 0, or counts nothing and returns the seconds until there is room for one."""
        oldest = now - self._seconds
        self._forget(oldest)
        times = [at for at in self.times.get(key, ()) if at > oldest]
        if len(times) >= self._amount:
            return times[0] - oldest
        self.times[key] = [*times, now]
        self.times.move_to_end(key)
        return 0

    def _forget(self, oldest: float) -> None:
        """Drops up to two keys whose last use has left the window: faster than keys can come."""
        for _ in range(2):
            key = next(iter(self.times), None)
            if key is None or self.times[key][-1] > oldest:
                return
            del self.times[key]


def _parsed(rules: Mapping[str, str]) -> dict[str, RateLimitItem]:
    items = {}
    for rule, limit in rules.items():
        try:
            items[rule] = parse(limit)
        except ValueError as error:
            raise ValueError(f"the rate limit {rule!r} is {limit!r}: write it like 20/minute") from error
    return items


def _refusal(seconds: float) -> RateLimited:
    return RateLimited(retry_after=max(1, math.ceil(seconds)))
