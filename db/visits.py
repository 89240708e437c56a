"""A transaction as a plain function of a Connection, which runs where its statements cost least.

What a session is asked goes to its driver statement by statement, and on SQLite to a thread and back each time, which
costs several times what the statements do. Here a transaction goes there once, as a whole: to SQLAlchemy's greenlets
for the servers' drivers, and to a thread for SQLite (db/sqlite_visits.py), or half of it. See docs/decisions/0027.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol, TypeVar

from sqlalchemy import ClauseElement, Connection, Row
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_

T = TypeVar("T")


class Visit(Enum):
    """What for: one statement that reads; a snapshot for several; a transaction that may write; one of a few statements
    that find rows by their keys."""

    LOOK = "look"
    READ = "read"
    WRITE = "write"
    BRIEF = "brief"


Options = Mapping[Visit, Mapping[str, Any]]
"""What SQLAlchemy is told for the connections of a kind, where it is told anything."""


class Visits(Protocol):
    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction, which is committed when it returns and undone when it raises."""
        ...

    def glance(self, statement: ClauseElement, values: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        """The rows that a statement finds by a key, where that takes less time than to wait for it; else None. The
        statement is built once."""
        ...

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        """For `work`: what the awaitable gives that `start` makes in the event loop, in whatever thread `work` is."""
        ...

    def tell(self, told: Callable[[], None]) -> None:
        """For `work`: calls it in the event loop, before `run` returns."""
        ...

    async def close(self) -> None: ...


class ServerVisits(Visits):
    """With an asyncio driver, in the event loop."""

    def __init__(self, engine: AsyncEngine, options: Options) -> None:
        self._engines = {visit: engine.execution_options(**options.get(visit, {})) for visit in Visit}

    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        async with self._engines[visit].connect() as connection:
            return await connection.run_sync(_transaction, work)

    def glance(self, statement: ClauseElement, values: Mapping[str, Any]) -> None:
        return None

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        return await_(start())

    def tell(self, told: Callable[[], None]) -> None:
        told()

    async def close(self) -> None:
        """The engine is its owner's to close."""


def _transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    with connection.begin():
        return work(connection)
