"""SQLite's connections, each in a thread of its own (aiosqlite), with one visit to the thread for a statement.

aiosqlite visits it to make a cursor, to execute, to fetch and to close, and SQLAlchemy adds a BEGIN before and a roll-back
behind. The visits cost several times what the statements do. Here a transaction begins with its first statement, whose
rows are fetched where it is executed, and nobody waits for a roll-back.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import aiosqlite

BEGIN_READ, BEGIN_WRITE = "BEGIN", "BEGIN IMMEDIATE"
"""A write takes the lock at once: a transaction that reads first and then wants it can only fail."""


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """For SQLAlchemy's `async_creator_fn`; awaiting it opens the connection."""
    connection = _Connection(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does it
    return connection


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor. It holds a whole result."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> "_Cursor":
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        if statement.startswith("BEGIN"):
            self._connection.begin_with = statement
        else:
            await self._connection.run(self, sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        await self._connection.run(self, sqlite3.Cursor.executemany, statement, parameters)

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def take(self, cursor: sqlite3.Cursor) -> None:
        """In the connection's thread."""
        self._rows = cursor.fetchall()
        self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid


class _Connection(aiosqlite.Connection):
    begin_with: str | None = None
    """The BEGIN of the transaction whose first statement is still to come."""
    _begun = False

    def cursor(self) -> Any:
        return _Cursor(self)

    async def run(self, result: _Cursor, execute: Callable[..., Any], statement: str, parameters: Any) -> None:
        begin, self.begin_with = self.begin_with, None
        self._begun = self._begun or begin is not None
        await self._execute(self._run, begin, result, execute, statement, parameters)  # type: ignore[no-untyped-call]

    async def commit(self) -> None:
        self.begin_with = None
        if self._begun:
            await super().commit()
            self._begun = False

    async def rollback(self) -> None:
        self.begin_with = None
        if self._begun:
            self._begun = False
            self._tx.put_nowait((None, self._conn.rollback))

    def _run(
        self, begin: str | None, result: _Cursor, execute: Callable[..., Any], statement: str, parameters: Any
    ) -> None:
        """In the connection's thread."""
        with closing(self._conn.cursor()) as cursor:
            if begin is not None:
                cursor.execute(begin)
            execute(cursor, statement, parameters)
            result.take(cursor)
