"""Redis for tests: the server of TEST_REDIS_URL (by default that on the loopback's port 6379), under key prefixes of
the test's own; and servers of the test's own, to be lost.

Where none answers, or the program `redis-server` is not installed, the test is skipped, or fails when
ANSWERDESK_REQUIRE_BACKENDS=1.
"""

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from uuid import uuid4

import pytest
from redis import Redis
from redis.exceptions import RedisError

from soak.ports import free_port

URL = "redis://127.0.0.1:6379/0"
START_WITHIN = 10.0


@contextmanager
def redis_prefix() -> Iterator[tuple[str, str]]:
    """The URL of the shared server, and a prefix whose keys are removed in the end."""
    url = os.environ.get("TEST_REDIS_URL", URL)
    if not _answers(url):
        _absent(f"no Redis answers at {url} (TEST_REDIS_URL)")
    prefix = f"test:{uuid4().hex}"
    yield url, prefix
    with Redis.from_url(url) as redis:
        for key in redis.scan_iter(f"{prefix}:*"):
            redis.delete(key)


class RedisServer:
    """A server that keeps nothing when it ends."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            _absent("redis-server is not installed")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + START_WITHIN
        while not _pings(self.url):
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()


@functools.cache
def _answers(url: str) -> bool:
    return _pings(url)


def _pings(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_connect_timeout=1) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def _absent(reason: str) -> NoReturn:
    if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
