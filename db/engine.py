"""One database and the two kinds of transaction on it, each in two forms.

    async with database.read() as session:     a snapshot: all its statements see the same moment; not for writing
    async with database.write() as session:    committed at the end of the block, undone when the block raises

    await database.read_at_once(work)          the same, as a plain function of a connection (db/visits.py), at a
    await database.write_at_once(work)         fraction of the cost: for what every turn does
    await database.write_briefly(work)         the same, of a few statements that find rows by keys
    await database.look(statement, values)     the rows of one statement that reads
    await database.glance(statement, values)   the same, of one that finds a row or two by a key; whole by itself

All raise DatabaseUnavailable, and a write WriteConflict (db/failures.py), whatever driver is below.
The sessions are of distinct types, so a function says which it needs. None is to be cancelled: stores use them in
methods that are `one_transaction` (db/transactions.py).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, Row, Select, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from db import sqlite
from db.failures import translated_failures
from db.revisions import require_newest
from db.sqlite_visits import SqliteVisits
from db.transactions import one_transaction
from db.visits import ServerVisits, Visit, Visits

T = TypeVar("T")

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
}
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
POOL_SECONDS = 30
"""A queue for a connection is no outage: two hundred streams that begin at once share one connection if they must."""
SQLITE_BUSY_SECONDS = 5
MYSQL_SESSION = (
    "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 10,"
    " sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)

_BEGIN_WITH = "answerdesk_begin_with"
_READ_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {_BEGIN_WITH: sqlite.BEGIN_READ},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {_BEGIN_WITH: "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"},
}
_LOOK_OPTIONS: dict[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
    "mysql": {},  # that would be statements of its own
}


class ReadSession(AsyncSession):
    """One read-only transaction: PostgreSQL and MySQL refuse a write in it."""


class WriteSession(AsyncSession):
    """One transaction that may write."""


class Database:
    """Belongs to one event loop. `url` names SQLite (a file), PostgreSQL or MySQL; nothing connects before the first
    transaction."""

    def __init__(self, url: str, pool_size: int = 10, pool_seconds: float = POOL_SECONDS) -> None:
        """`pool_seconds` is how long to wait for a connection of the pool while others hold them all."""
        self._engine = open_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=pool_seconds)
        dialect = self._engine.dialect.name
        self._reads = async_sessionmaker(
            self._engine.execution_options(**_READ_OPTIONS[dialect]), class_=ReadSession, expire_on_commit=False
        )
        self._writes = async_sessionmaker(self._engine, class_=WriteSession, expire_on_commit=False)
        # SQLite has one writer at a time. Its waiters poll, so in one process they had better queue.
        self._writer = asyncio.Lock() if dialect == "sqlite" else nullcontext()
        self._visits: Visits
        if dialect == "sqlite":
            self._visits = SqliteVisits(_open_sqlite(url), pool_size)
        else:
            options = {Visit.LOOK: _LOOK_OPTIONS[dialect], Visit.READ: _READ_OPTIONS[dialect]}
            self._visits = ServerVisits(self._engine, options)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, pool_size: int = 10, pool_seconds: float = POOL_SECONDS) -> AsyncIterator["Database"]:
        database = cls(url, pool_size, pool_seconds)
        try:
            yield database
        finally:
            await database.close()

    @property
    def name(self) -> str:
        """For the banner and /readyz."""
        return {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"}[self._engine.dialect.name]

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        with translated_failures():
            async with self._reads() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        async with self._writer:
            with translated_failures():
                async with self._writes() as session:
                    yield session
                    await session.commit()

    async def read_at_once(self, work: Callable[[Connection], T]) -> T:
        with translated_failures():
            return await self._visits.run(Visit.READ, work)

    async def write_at_once(self, work: Callable[[Connection], T]) -> T:
        async with self._writer:
            with translated_failures():
                return await self._visits.run(Visit.WRITE, work)

    async def write_briefly(self, work: Callable[[Connection], T]) -> T:
        async with self._writer:
            with translated_failures():
                return await self._visits.run(Visit.BRIEF, work)

    async def look(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        with translated_failures():
            return await self._visits.run(Visit.LOOK, lambda connection: connection.execute(statement, values).all())

    async def glance(self, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        rows = self._visits.glance(statement, values)
        return await self._looked(statement, values) if rows is None else rows

    @one_transaction
    async def _looked(self, statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        return await self.look(statement, values)

    def wait_for(self, start: Callable[[], Awaitable[T]]) -> T:
        """Only in a transaction that happens at once: see `Visits.wait_for`."""
        return self._visits.wait_for(start)

    def tell(self, told: Callable[[], None]) -> None:
        """Likewise: see `Visits.tell`."""
        self._visits.tell(told)

    @one_transaction
    async def check(self) -> None:
        """Raises DatabaseUnavailable unless a statement runs now."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    @one_transaction
    async def require_migrated(self) -> None:
        """Raises NotMigratedError unless the tables are of the newest revision."""
        async with self.read() as session:
            await session.run_sync(lambda it: require_newest(it.connection()))

    async def close(self) -> None:
        await self._visits.close()
        await self._engine.dispose()


def open_engine(address: str, **options: Any) -> AsyncEngine:
    """An engine with our session settings. Raises ValueError for an address that we have no driver for."""
    url = parse_url(address)
    is_server = url.get_backend_name() != "sqlite"  # whose connections may be gone when they are taken again
    engine = create_async_engine(
        url, connect_args=_connect_args(url), pool_pre_ping=is_server, **_isolation(url), **options
    )
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _open_sqlite(address: str) -> Engine:
    """The same for Python's own driver. Whoever connects keeps the connection, and begins transactions himself."""
    url = parse_url(address)
    arguments = _connect_args(url)
    arguments.pop("async_creator_fn", None)
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), connect_args=arguments, poolclass=NullPool)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def parse_url(address: str) -> URL:
    """Fills in the driver, which may be left out. Raises ValueError for a kind of database that we do not know."""
    url = make_url(address)
    backend = url.drivername.partition("+")[0]
    if backend not in DRIVERS:
        raise ValueError(f"DATABASE_URL begins with {backend!r}, which is none of {', '.join(DRIVERS)}")
    if backend == "sqlite" and (not url.database or ":memory:" in url.database):
        raise ValueError("DATABASE_URL names no SQLite file; a database in memory cannot be shared by connections")
    return url.set(drivername=DRIVERS[backend])


def _isolation(url: URL) -> dict[str, str]:
    # The servers' own default can be anything, and MySQL's locks gaps between rows
    return {} if url.get_backend_name() == "sqlite" else {"isolation_level": "READ COMMITTED"}


def _connect_args(url: URL) -> dict[str, Any]:
    """What the URL's own query says is left to it."""
    settings: dict[str, dict[str, Any]] = {
        "sqlite": {"timeout": SQLITE_BUSY_SECONDS, "async_creator_fn": sqlite.connect},
        "postgresql": {"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS},
        "mysql": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": STATEMENT_SECONDS,
            "charset": "utf8mb4",
            "init_command": MYSQL_SESSION,
        },
    }
    return {name: value for name, value in settings[url.get_backend_name()].items() if name not in url.query}


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions of its own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    default = sqlite.BEGIN_WRITE if connection.dialect.name == "sqlite" else None
    statement = connection.get_execution_options().get(_BEGIN_WITH, default)
    if statement is not None:
        connection.exec_driver_sql(statement)
