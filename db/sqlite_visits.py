"""Transactions with SQLite, by Python's own driver: in threads, but for what takes less time than to wake one.

A thread keeps its connection: to take one from a pool and to give it back costs as much as three statements. The event
loop has two of its own, which wait for nobody: one for glances, one for brief writes. Of a brief write only the commit is
left to a thread, since that waits for the disk; where another process is writing just then, all of it is.
See docs/decisions/0064 and 0065.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import get_ident
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, Engine, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_, greenlet_spawn

from db.sqlite import BEGIN_READ, BEGIN_WRITE
from db.sqlite_connection import SqliteConnection, driver_of, named
from db.sqlite_statements import prepared
from db.visits import Visit, Visits

T = TypeVar("T")


class SqliteVisits(Visits):
    _BEGIN: Mapping[Visit, str] = {Visit.READ: BEGIN_READ, Visit.WRITE: BEGIN_WRITE, Visit.BRIEF: BEGIN_WRITE}

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite")
        self._kept: dict[int, Connection] = {}
        """By the thread that uses it."""
        self._brief: Connection | None = None
        self._glances: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._home = get_ident()

    async def run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        if visit is Visit.BRIEF and (connection := self._begun_here()):
            return await self._run_here(connection, work)
        # In the context of who visits, for what `work` has done in the event loop
        return await self._loop.run_in_executor(self._threads, copy_context().run, self._run, visit, work)

    def glance(self, statement: ClauseElement, values: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        known = prepared(statement, tuple(values), self._engine.dialect)
        if known is None:
            return None
        try:
            if self._glances is None:
                self._glances = self._waiting_for_nobody()
            return cast("Sequence[Row[Any]]", known.run(driver_of(self._glances), known.values(values)).all())
        except (sqlite3.Error, DBAPIError, OverflowError):  # somebody has the file to himself, or no row has such a key
            return None

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        if get_ident() == self._home:
            return await_(start())

        async def started() -> T:
            return await start()

        return asyncio.run_coroutine_threadsafe(started(), self._loop).result()

    def tell(self, told: Callable[[], None]) -> None:
        if get_ident() == self._home:
            told()
        else:
            self._loop.call_soon_threadsafe(told)

    async def close(self) -> None:
        self._threads.shutdown()
        for connection in (*self._kept.values(), self._brief, self._glances):
            if connection is not None:
                connection.close()

    def _run(self, visit: Visit, work: Callable[[Connection], T]) -> T:
        thread = get_ident()
        connection = self._kept.get(thread)
        if connection is None:
            connection = self._kept[thread] = SqliteConnection(self._engine)
        try:
            with connection.begin():
                if begin := self._BEGIN.get(visit):
                    connection.exec_driver_sql(begin)
                return work(connection)
        except DBAPIError:
            del self._kept[thread]
            connection.close()
            raise

    def _begun_here(self) -> Connection | None:
        """A transaction in the event loop; None where somebody else is writing."""
        connection, self._brief = self._brief, None
        try:
            if connection is None:
                connection = self._waiting_for_nobody()
            connection.begin()
            connection.exec_driver_sql(BEGIN_WRITE)
        except DBAPIError:
            if connection is not None:
                connection.close()
            return None
        return connection

    async def _run_here(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        try:
            done = await greenlet_spawn(work, connection)
            await self._commit(connection)
        except DBAPIError:
            connection.close()
            raise
        except BaseException:
            connection.rollback()
            self._brief = connection
            raise
        self._brief = connection
        return done

    async def _commit(self, connection: Connection) -> None:
        """By the driver: what a thread does in Python beside that keeps the event loop waiting."""
        try:
            await self._loop.run_in_executor(self._threads, driver_of(connection).commit)
        except sqlite3.Error as error:
            raise named(error, "COMMIT", connection) from error
        connection.commit()

    def _waiting_for_nobody(self) -> Connection:
        """For the event loop."""
        connection = SqliteConnection(self._engine)
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        connection.rollback()
        return connection
