"""SQLAlchemy's connection to SQLite, which runs statements that are built once by the driver itself.

SQLAlchemy finds out at each run what it found at the one before, and makes a context, a cursor's description and a result:
ten times what SQLite takes. Here it is asked once for each statement, and its own types make the values. It runs the
statement itself where somebody listens, such as a tracer of its events, and where it has more to do than to hand values
on: many rows at once, lists of values, columns with defaults of their own. Failures have its names either way.
tests/db/test_sqlite_statements.py holds both equal (docs/decisions/0067).
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, cast

from sqlalchemy import Connection, Dialect, Insert, Select, Update
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError

from db.statements import is_built_once

Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Written:
    """What is asked of the result of a statement that writes."""

    rowcount: int
    inserted_primary_key: tuple[int | None]


@dataclass(frozen=True, slots=True)
class _Bind:
    """A value that the statement takes: that of `name`, or always the same."""

    name: str | None
    process: Process | None = None
    value: Any = None

    def of(self, values: Mapping[str, Any]) -> Any:
        if self.name is None:
            return self.value
        value = values[self.name]
        return self.process(value) if self.process else value


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement as the driver takes it."""

    sql: str
    binds: Sequence[_Bind]
    columns: SimpleResultMetaData | None
    """None for a statement that writes."""
    processes: Sequence[tuple[int, Process]]
    """Of the columns that are not as the driver gives them."""

    @classmethod
    def of(cls, statement: Any, names: Sequence[str], dialect: Dialect) -> Self | None:
        """None where SQLAlchemy has more to do."""
        if not isinstance(statement, Select | Insert | Update):
            return None
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        if (
            compiled.insert_prefetch
            or compiled.update_prefetch
            or compiled.post_compile_params
            or compiled.literal_execute_params
            or compiled.effective_returning
        ):
            return None
        if isinstance(statement, Insert) and statement.table.autoincrement_column is None:  # type: ignore[attr-defined]
            return None
        binds = []
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            process = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if bind.key in names:
                binds.append(_Bind(bind.key, process))
            elif bind.required:
                return None
            else:
                value = bind.effective_value
                binds.append(_Bind(None, None, process(value) if process else value))
        if not isinstance(statement, Select):
            return cls(compiled.string, binds, None, ())
        columns = list(statement.selected_columns)
        made = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        processes = [(place, process) for place, process in enumerate(made) if process is not None]
        keys = SimpleResultMetaData(statement.selected_columns.keys())
        return cls(compiled.string, binds, keys, processes)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [bind.of(given) for bind in self.binds]

    def result(self, cursor: sqlite3.Cursor) -> Any:
        if self.columns is None:
            return _Written(cursor.rowcount, (cursor.lastrowid,))
        return IteratorResult(self.columns, iter([self._made(row) for row in cursor.fetchall()]))

    def _made(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.processes:
            return row
        values = list(row)
        for place, process in self.processes:
            values[place] = process(values[place])
        return tuple(values)


prepared = lru_cache(maxsize=200)(Prepared.of)
"""For statements that are built once."""


class SqliteConnection(Connection):
    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        if type(parameters) is dict and execution_options is None and is_built_once(statement) and self._is_alone():
            known = prepared(statement, tuple(parameters), self.dialect)
            if known is not None:
                return self._run(known, parameters)
        return super().execute(statement, parameters, execution_options=execution_options)

    def _is_alone(self) -> bool:
        """Whether nobody listens."""
        told = self.dispatch
        return self.in_transaction() and not (
            told.before_cursor_execute or told.after_cursor_execute or told.before_execute or told.after_execute
        )

    def _run(self, known: Prepared, given: Mapping[str, Any]) -> Any:
        values = known.values(given)
        try:
            return known.result(driver_of(self).execute(known.sql, values))
        except sqlite3.Error as error:
            raise named(error, known.sql, self, values) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def named(error: sqlite3.Error, sql: str, connection: Connection, values: Sequence[Any] = ()) -> BaseException:
    """The driver's failure as SQLAlchemy calls it."""
    hidden, dialect = connection.engine.hide_parameters, connection.dialect
    return DBAPIError.instance(sql, values, error, sqlite3.Error, hidden, dialect=dialect)
