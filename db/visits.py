"""A transaction as a plain function of a Connection, which runs where its statements cost least.

What a session is asked goes to its driver statement by statement, and on SQLite to a thread and back each time, which
costs several times what the statements do. Here a transaction goes there once, as a whole: to SQLAlchemy's greenlets
for the servers' drivers, to a thread for SQLite, where its own driver waits for nobody. See docs/decisions/0027.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from enum import Enum
from threading import get_ident
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import await_

from db.sqlite import BEGIN_READ, BEGIN_WRITE

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

    def glance(self, statement: ClauseElement, values: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        """The rows that a statement finds by a key, as the driver gives them, where that takes less time than to wait for
        it; else None."""
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
        self._engines = {visit: engine.execution_options(**options[visit]) for visit in Visit}

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


class SqliteVisits(Visits):
    """With Python's own driver, in threads, each of which keeps its connection: to take one from a pool and to give it
    back costs as much as three statements. The event loop has one, too, for what takes less than to wake a thread."""

    _BEGIN: Mapping[Visit, str] = {Visit.READ: BEGIN_READ, Visit.WRITE: BEGIN_WRITE}

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite")
        self._kept: dict[int, Connection] = {}
        """By the thread that uses it."""
        self._glances: PoolProxiedConnection | None = None
        self._queries: dict[ClauseElement, SQLCompiler] = {}
        self._loop = asyncio.get_running_loop()

    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        # In the context of who visits, for what `work` has done in the event loop
        return await self._loop.run_in_executor(self._threads, copy_context().run, self._run, visit, work)

    def glance(self, statement: ClauseElement, values: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        query = self._queries.get(statement)
        if query is None:
            query = self._queries[statement] = cast(SQLCompiler, statement.compile(self._engine))
        try:
            told = query.construct_params(values)
            found = self._at_hand().execute(query.string, [told[name] for name in query.positiontup or ()])
            return cast("list[tuple[Any, ...]]", found.fetchall())
        except (sqlite3.Error, DBAPIError, OverflowError):  # somebody has the file to himself, or no row has such a key
            return None

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        async def started() -> T:
            return await start()

        return asyncio.run_coroutine_threadsafe(started(), self._loop).result()

    def tell(self, told: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(told)

    async def close(self) -> None:
        self._threads.shutdown()
        for connection in self._kept.values():
            connection.close()
        if self._glances is not None:
            self._glances.close()

    def _run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        thread = get_ident()
        connection = self._kept.get(thread)
        if connection is None:
            connection = self._kept[thread] = self._engine.connect()
        try:
            with connection.begin():
                if begin := self._BEGIN.get(visit):
                    connection.exec_driver_sql(begin)
                return work(connection)
        except DBAPIError:
            del self._kept[thread]
            connection.close()
            raise

    def _at_hand(self) -> sqlite3.Connection:
        """The event loop's own, which waits for nobody."""
        if self._glances is None:
            self._glances = self._engine.raw_connection()
            self._glances.cursor().execute("PRAGMA busy_timeout = 0")
        return cast(sqlite3.Connection, self._glances.driver_connection)


def _transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    with connection.begin():
        return work(connection)
