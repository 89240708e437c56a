"""Bringing a database's tables to the newest revision of alembic/versions, safely from any number of processes.

Concurrent migrations fail on every database unless a lock goes round them: PostgreSQL's and MySQL's advisory locks
end with the connection that holds them, SQLite's is a transaction on a file beside the database, and ends with the
process. So a migration that dies blocks nobody.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Column, Connection, NullPool, text
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from db.engine import open_engine, parse_url
from db.failures import translated_failures
from db.revisions import ALEMBIC_INI
from domain.errors import DatabaseUnavailable

CONNECTION = "connection"
"""The key under which alembic/env.py finds the connection to use."""
LOCK_NAME = "answerdesk-migrations"
LOCK_SECONDS = 300
"""How long to wait for another process that migrates."""
POLL_SECONDS = 0.05


def upgrade(url: str, revision: str = "head") -> None:
    """Creates what is missing: the data folder, the SQLite file, the tables. Raises DatabaseUnavailable. Not for a
    thread whose event loop runs."""
    with translated_failures():
        asyncio.run(one_at_a_time(url, lambda connection: command.upgrade(config(connection), revision)))


def config(connection: Connection) -> Config:
    """For any of alembic's commands, run on this connection and leaving logging alone."""
    made = Config(ALEMBIC_INI)
    made.attributes[CONNECTION] = connection
    return made


async def one_at_a_time(url: str, work: Callable[[Connection], None]) -> None:
    """Calls `work` with a connection while no other process is in here for the same database."""
    engine = open_engine(url, poolclass=NullPool)
    try:
        async with _lock_file(url), engine.connect() as connection:
            await _take_lock(connection)
            await connection.commit()
            await connection.run_sync(work)
            await connection.commit()
    finally:
        await engine.dispose()


async def _take_lock(connection: AsyncConnection) -> None:
    """Held until the connection closes, which NullPool makes it do at once."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(LOCK_NAME.encode()).digest()[:8], signed=True)
        taken = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=key)
    elif connection.dialect.name == "mysql":
        # The server has one name space for all its databases, and names have at most 64 characters
        taken = text("SELECT GET_LOCK(CONCAT(:name, SHA1(DATABASE())), 0)").bindparams(name=LOCK_NAME[:24])
    else:
        return
    deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
    while not await connection.scalar(taken):
        await _wait(deadline)


@asynccontextmanager
async def _lock_file(address: str) -> AsyncIterator[None]:
    url = parse_url(address)
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
    with closing(sqlite3.connect(f"{path}.migrating", timeout=0, isolation_level=None)) as lock:
        while True:
            try:
                lock.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
            await _wait(deadline)
        yield


async def _wait(deadline: float) -> None:
    if asyncio.get_running_loop().time() > deadline:
        raise DatabaseUnavailable("Another process is migrating the database, and does not finish.")
    await asyncio.sleep(POLL_SECONDS)


def same_type(
    context: MigrationContext,
    inspected_column: Column[Any],
    metadata_column: Column[Any],
    inspected_type: TypeEngine[Any],
    metadata_type: TypeEngine[Any],
) -> bool | None:
    """For alembic's comparison: MariaDB's JSON is another name of LONGTEXT. None leaves the rest to alembic."""
    if isinstance(metadata_type, JSON) and isinstance(inspected_type, LONGTEXT):
        return False
    return None
