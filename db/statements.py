"""Statements that are built once, when their module is, and run for every turn: to build one costs more than to run it."""

from typing import Any, TypeVar

from sqlalchemy import Executable

S = TypeVar("S", bound=Executable)

_BUILT_ONCE = "answerdesk_built_once"


def built_once(statement: S) -> S:
    """So marked; what is made of it later is, too. What is known of such a statement is kept (db/sqlite_statements.py)."""
    return statement.execution_options(**{_BUILT_ONCE: True})


def is_built_once(statement: Any) -> bool:
    return isinstance(statement, Executable) and _BUILT_ONCE in statement.get_execution_options()
