"""The database's own clock, in UTC: leases are told by it, since several hosts share one database, not one clock."""

from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from db.columns import UTCDateTime

MICROSECOND = timedelta(microseconds=1)


class _ClockPlus(FunctionElement[Any]):
    """The time now, and not that of the transaction's begin, plus its argument in microseconds."""

    type = UTCDateTime()
    inherit_cache = True


def database_clock(ahead: timedelta = timedelta(0)) -> ColumnElement[Any]:
    return _ClockPlus(literal(microseconds(ahead), BigInteger()))


def clock_ahead_by(parameter: str) -> ColumnElement[Any]:
    """For a statement that is built once: `parameter` is given in microseconds when it runs."""
    return _ClockPlus(bindparam(parameter, type_=BigInteger()))


def microseconds(duration: timedelta) -> int:
    return duration // MICROSECOND


@compiles(_ClockPlus, "postgresql")
def _postgresql(element: _ClockPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return (
        f"(clock_timestamp() AT TIME ZONE 'UTC' + {compiler.process(element.clauses, **kw)} * interval '1 microsecond')"
    )


@compiles(_ClockPlus, "mysql")
def _mysql(element: _ClockPlus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(UTC_TIMESTAMP(6) + INTERVAL {compiler.process(element.clauses, **kw)} MICROSECOND)"


@compiles(_ClockPlus, "sqlite")
def _sqlite(element: _ClockPlus, compiler: SQLCompiler, **kw: Any) -> str:
    ahead = f"printf('%+.6f seconds', {compiler.process(element.clauses, **kw)} / 1000000.0)"
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {ahead})"  # SQLite's clock ticks in milliseconds
