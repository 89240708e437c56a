"""A transaction as a plain function of a Connection, which runs where its statements cost least.

What a session is asked goes to its driver statement by statement, and on SQLite to a thread and back each time, which
costs several times what the statements do. Here a transaction goes there once, as a whole: to SQLAlchemy's greenlets
for the servers' drivers, to a thread for SQLite, where its own driver waits for nobody. See docs/decisions/0027.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_

from domain.threads import Threads, wait_for

T = TypeVar("T")


class Visit(Enum):
    """What for: one statement that reads; a snapshot for several; a transaction that may write."""

    LOOK = "look"
    READ = "read"
    WRITE = "write"


Options = Mapping[Visit, Mapping[str, Any]]
"""What SQLAlchemy is told for the connections of each kind."""


class Visits(Protocol):
    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction, which is committed when it returns and undone when it raises."""
        ...

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        """For `work`: what the awaitable gives that `start` makes in the event loop, in whatever thread `work` is."""
        ...

    async def close(self) -> None: ...


class ServerVisits(Visits):
    """With an asyncio driver, in the event loop."""

    def __init__(self, engine: AsyncEngine, options: Options) -> None:
        self._engines = {visit: engine.execution_options(**options[visit]) for visit in Visit}

    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        async with self._engines[visit].connect() as connection:
            return await connection.run_sync(_transaction, work)

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        return await_(start())

    async def close(self) -> None:
        """The engine is its owner's to close."""


class SqliteVisits(Visits):
    """With Python's own driver, in threads: as many as `engine` has connections."""

    def __init__(self, engine: Engine, threads: int, options: Options) -> None:
        self._engines = {visit: engine.execution_options(**options[visit]) for visit in Visit}
        self._threads = Threads(threads, "sqlite")
        self._loop = asyncio.get_running_loop()

    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        return await self._threads.run(partial(self._run, visit, work))

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        return wait_for(start, self._loop)

    async def close(self) -> None:
        self._threads.close()
        self._engines[Visit.LOOK].dispose()

    def _run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        with self._engines[visit].connect() as connection:
            return _transaction(connection, work)


def _transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    with connection.begin():
        return work(connection)
