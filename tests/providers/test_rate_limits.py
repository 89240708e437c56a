"""Rate limits over a moving window, in memory and in a real Redis."""

import asyncio
import importlib.util
import os
import socket
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorCode, RateLimited
from domain.ports import RateLimiter
from providers.rate_limits import RedisRateLimiter, WindowRateLimiter

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
RULES = {"login": "3/minute", "register": "2/hour", "quick": "2/second"}


class Clock:
    """Seconds, set by the test."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def has_redis() -> bool:
    if importlib.util.find_spec("redis") is None:
        return False
    try:
        socket.create_connection(("127.0.0.1", 6379), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(
    params=["memory", pytest.param("redis", marks=pytest.mark.skipif(not has_redis(), reason="no redis here"))]
)
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[RateLimiter]:
    if request.param == "memory":
        yield WindowRateLimiter(RULES)
    else:
        redis = RedisRateLimiter(RULES, REDIS, key_prefix=f"test:{uuid4().hex}")
        yield redis
        await redis.close()


async def refused(limiter: RateLimiter, rule: str, key: str) -> int:
    with pytest.raises(RateLimited) as caught:
        await limiter.hit(rule, key)
    assert caught.value.code is ErrorCode.RATE_LIMITED
    retry_after = caught.value.details["retry_after"]
    assert isinstance(retry_after, int)
    return retry_after


async def test_allows_as_many_as_the_rule_says(limiter: RateLimiter) -> None:
    for _ in range(3):
        await limiter.hit("login", "address 192.0.2.1")
    assert 58 <= await refused(limiter, "login", "address 192.0.2.1") <= 60


async def test_keys_and_rules_count_apart(limiter: RateLimiter) -> None:
    for _ in range(2):
        await limiter.hit("register", "a")
    assert 3_598 <= await refused(limiter, "register", "a") <= 3_600
    await limiter.hit("register", "b")
    await limiter.hit("login", "a")


@pytest.mark.parametrize("key", ["", "a/b", "half \ud83e", "nul \0", "k" * 10_000, "%s {0}"])
async def test_any_text_is_a_key(limiter: RateLimiter, key: str) -> None:
    for _ in range(2):
        await limiter.hit("register", key)
    await refused(limiter, "register", key)
    await limiter.hit("register", key + "x")


async def test_calls_at_once_do_not_slip_through(limiter: RateLimiter) -> None:
    outcomes = await asyncio.gather(*(limiter.hit("login", "crowd") for _ in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 3
    assert all(outcome is None or isinstance(outcome, RateLimited) for outcome in outcomes)


async def test_there_is_room_after_retry_after(limiter: RateLimiter) -> None:
    """Waiting as long as the refusal says is enough: this is the behaviour under test, not a pause for something else."""
    for _ in range(2):
        await limiter.hit("quick", "patient")
    retry_after = await refused(limiter, "quick", "patient")
    assert retry_after == 1
    await asyncio.sleep(retry_after + 0.05)
    await limiter.hit("quick", "patient")


async def test_the_window_moves() -> None:
    clock = Clock()
    limiter = WindowRateLimiter({"login": "3/minute"}, clock)
    for at in (0, 10, 20):
        clock.now = 1_000 + at
        await limiter.hit("login", "a")
    clock.now = 1_050
    assert await refused(limiter, "login", "a") == 10
    clock.now = 1_059.99
    assert await refused(limiter, "login", "a") == 1
    clock.now = 1_060
    await limiter.hit("login", "a")
    assert await refused(limiter, "login", "a") == 10, "refusals are not counted"


async def test_keys_that_left_the_window_are_forgotten() -> None:
    clock = Clock()
    limiter = WindowRateLimiter({"login": "3/minute"}, clock)
    for number in range(1_000):
        await limiter.hit("login", f"old {number}")
    clock.now += 61
    for number in range(501):
        await limiter.hit("login", f"new {number}")
    assert limiter.keys("login") == 501


async def test_a_key_in_use_does_not_keep_the_others_from_being_forgotten() -> None:
    clock = Clock()
    limiter = WindowRateLimiter({"login": "3/minute"}, clock)
    for key in ("steady", "a", "b", "c"):
        await limiter.hit("login", key)
    clock.now += 40
    await limiter.hit("login", "steady")
    clock.now += 30
    for _ in range(2):
        await limiter.hit("login", "new")
    assert limiter.keys("login") == 2


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=60))
def test_no_window_ever_holds_more_than_the_rule_allows(uses: list[tuple[float, str]]) -> None:
    clock = Clock()
    limiter = WindowRateLimiter({"login": "3/minute"}, clock)
    allowed: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for pause, key in uses:
        clock.now += pause
        in_window = [at for at in allowed[key] if at > clock.now - 60]
        try:
            asyncio.run(limiter.hit("login", key))
        except RateLimited as refusal:
            wait = refusal.details["retry_after"]
        else:
            wait = 0
            allowed[key].append(clock.now)
        assert (wait > 0) == (len(in_window) == 3)
        assert wait == 0 or wait >= max(1, in_window[0] + 60 - clock.now - 1e-6)


def test_a_rule_that_does_not_parse_is_named() -> None:
    with pytest.raises(ValueError, match="'login' is 'often': write it like 20/minute"):
        WindowRateLimiter({"login": "often"})


@pytest.mark.skipif(not has_redis(), reason="no redis here")
async def test_processes_that_share_a_redis_count_together() -> None:
    prefix = f"test:{uuid4().hex}"
    one, two = (RedisRateLimiter(RULES, REDIS, key_prefix=prefix) for _ in range(2))
    await one.hit("register", "a")
    await two.hit("register", "a")
    await refused(one, "register", "a")
    await refused(two, "register", "a")
    await one.close()
    await two.close()


@pytest.mark.skipif(importlib.util.find_spec("redis") is None, reason="no redis library here")
@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "never answers"])
async def test_without_redis_each_process_counts_for_itself(answers: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not answers:
            server.close()
        limiter = RedisRateLimiter({"login": "1/minute"}, f"redis://127.0.0.1:{port}/0", timeout=0.2)
        begun = time.monotonic()
        await limiter.hit("login", "a")
        assert time.monotonic() - begun < 5
        await refused(limiter, "login", "a")
        await limiter.close()
