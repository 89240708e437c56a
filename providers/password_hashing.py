"""Password hashes: argon2id with the first parameters of OWASP's Password Storage Cheat Sheet (19 MiB, 2 passes, 1 lane)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from passlib.context import CryptContext

from domain.errors import RateLimited
from domain.ports import PasswordHasher

MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
T = TypeVar("T")


class Argon2Hasher(PasswordHasher):
    """Hashes on `threads` threads (argon2 releases the GIL), with room for `queue` more that wait; past that it raises
    RateLimited, since a flood of logins must not build up minutes of work and 19 MiB each."""

    def __init__(
        self,
        threads: int = 2,
        queue: int = 128,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
    ) -> None:
        self._context = CryptContext(
            ["argon2"],
            argon2__type="ID",
            argon2__memory_cost=memory_kib,
            argon2__time_cost=passes,
            argon2__parallelism=LANES,
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password-hashing")
        self._places = asyncio.Semaphore(threads + queue)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """False as well, and no sooner, for a text that is not an argon2 hash."""
        return await self._run(lambda: self._verify(password, password_hash))

    def is_outdated(self, password_hash: str) -> bool:
        return self._context.needs_update(password_hash)

    def close(self) -> None:
        """Lets what runs finish; what waits is cancelled."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _hash(self, password: str) -> str:
        return self._context.hash(password)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        if password_hash is None or not self._context.identify(password_hash):
            self._hash(password)
            return False
        return self._context.verify(password, password_hash)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._places.locked():
            raise RateLimited(retry_after=1)
        async with self._places:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
