"""What a driver's failure means to the domain, told in one place.

    the database cannot be reached, is shutting down, is full or is locked for too long   DatabaseUnavailable
    two transactions collided (deadlock, serialization) and the server undid this one     WriteConflict
    anything else                                                                         left as it is: a defect

Codes: PostgreSQL's SQLSTATE (appendix A of its manual), MySQL's and MariaDB's error numbers, SQLite's result codes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.errors import DatabaseUnavailable
from domain.troubles import Trouble

_CONFLICTS = {"40001", "40P01", 1213}
_UNAVAILABLE = {
    *("25006", "3D000"),  # a replica that is read-only since a fail-over; no such database (yet)
    *(1040, 1044, 1045, 1049, 1053, 1077, 1078, 1079, 1129, 1130, 1152, 1153, 1158, 1159, 1160, 1161, 1203, 1205),
    *(1226, 1290, 1836, 1927, 2002, 2003, 2005, 2006, 2012, 2013, 2026, 2027, 2055, 3169, 4031),
}
_TROUBLES: dict[str | int, Trouble] = {
    **dict.fromkeys((1044, 1045, 1698, "28"), Trouble.UNAUTHORISED),
    **dict.fromkeys((1049, "3D", "SQLITE_CANTOPEN"), Trouble.MISSING),
    **dict.fromkeys((1040, 1203, 1226, "53", "SQLITE_BUSY", "SQLITE_LOCKED"), Trouble.BUSY),
}
"""Codes that say more than that there is no database; SQLSTATEs by their class, which is how they begin."""
_UNAVAILABLE_CLASSES = ("08", "28", "53", "57P", "58")
_UNAVAILABLE_SQLITE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")


class WriteConflict(DatabaseUnavailable):
    """Nothing was written: the same transaction may well succeed when it is run again."""


@contextmanager
def translated_failures() -> Iterator[None]:
    """Raises DatabaseUnavailable or WriteConflict for driver failures that mean it."""
    try:
        yield
    except (PoolTimeout, OSError) as error:  # drivers let a refused connection and a time-out through as they are
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        codes = _codes(error)
        if not codes.isdisjoint(_CONFLICTS):
            raise WriteConflict from error
        if error.connection_invalidated or any(_means_unavailable(code) for code in codes):
            raise DatabaseUnavailable from error
        raise


def trouble_of(failure: DatabaseUnavailable) -> Trouble:
    """UNREACHABLE, unless the driver said that it is something else."""
    error = failure.__cause__
    for code in _codes(error) if isinstance(error, DBAPIError) else ():
        if trouble := _TROUBLES.get(code) or _TROUBLES.get(str(code)[:2]):
            return trouble
    return Trouble.SILENT if isinstance(error, PoolTimeout | TimeoutError) else Trouble.UNREACHABLE


def _codes(error: DBAPIError) -> set[str | int]:
    """The SQLSTATE, MySQL's number and SQLite's symbolic name, as far as there are any."""
    named = [getattr(error.orig, name, None) for name in ("sqlstate", "sqlite_errorname")]
    first = error.orig.args[:1] if error.orig is not None else ()  # MySQL's number, the others' message
    return {code for code in named if isinstance(code, str)} | {code for code in first if isinstance(code, int)}


def _means_unavailable(code: str | int) -> bool:
    if isinstance(code, str) and code.startswith((*_UNAVAILABLE_CLASSES, *_UNAVAILABLE_SQLITE)):
        return True
    return code in _UNAVAILABLE
