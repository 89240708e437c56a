"""Statements that are built once, as SQLite's driver takes them: SQLAlchemy is asked once for each.

It would find out at each run what it found at the one before, and make a context, a cursor's description and a result:
ten times what SQLite takes. Its own types make the values here, too. What it has more to do with than to hand values on
stays with it: lists of values, columns with defaults of their own, keys that SQLite does not make.
tests/db/test_sqlite_statements.py holds both equal (docs/decisions/0067).
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from sqlalchemy import Dialect, Insert, Select, Update
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData

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

    def run(self, driver: sqlite3.Connection, values: Sequence[Any]) -> Any:
        """What SQLAlchemy's results have of it. Raises sqlite3.Error and OverflowError."""
        cursor = driver.execute(self.sql, values)
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
