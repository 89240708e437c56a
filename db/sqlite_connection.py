"""SQLAlchemy's connection to SQLite, which has statements that are built once run by the driver itself.

SQLAlchemy runs them where somebody listens, such as a tracer of its events, and where there are many rows at once.
Failures have its names either way. See docs/decisions/0067.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from db.sqlite_statements import Prepared, prepared
from db.statements import is_built_once


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
            return known.run(driver_of(self), values)
        except sqlite3.Error as error:
            raise named(error, known.sql, self, values) from error


def driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def named(error: sqlite3.Error, sql: str, connection: Connection, values: Sequence[Any] = ()) -> BaseException:
    """The driver's failure as SQLAlchemy calls it."""
    hidden, dialect = connection.engine.hide_parameters, connection.dialect
    return DBAPIError.instance(sql, values, error, sqlite3.Error, hidden, dialect=dialect)
