"""Rows of the data sets' JSON Lines, each checked for the fields that are read of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domain.agents.state import Line
from evaluation.cases import EvaluationError, lines

Row = dict[str, Any]

TEXT, TEXTS, TURNS, MAYBE = "a text", "a list of texts", "a conversation", "a text or null"


def read_rows(path: Path, fields: Mapping[str, str]) -> list[Row]:
    """`fields` are the names that every row must have, and what each is. Raises EvaluationError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise EvaluationError(
            f"{path} is not there. The public data sets are not part of this repository: give their folder with --data or "
            "EVALUATION_DATA (docs/evaluation.md says what belongs in it)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_row(f"{path}:{number}", line, fields))
    if not rows:
        raise EvaluationError(f"{path}: there is no row in it")
    return rows


def told(history: list[Row]) -> tuple[Line, ...]:
    return lines((turn["role"], turn["content"]) for turn in history)


def _row(place: str, line: str, fields: Mapping[str, str]) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{place}: this is not JSON: {error.msg}") from error
    if not isinstance(row, dict):
        raise EvaluationError(f"{place}: this is no object")
    for name, kind in fields.items():
        if not _is(kind, row.get(name)):
            raise EvaluationError(f"{place}: {name}: must be {kind}")
    return row


def _is(kind: str, value: object) -> bool:
    if kind == TEXTS:
        return isinstance(value, list) and all(isinstance(it, str) for it in value)
    if kind == TURNS:
        return isinstance(value, list) and all(
            isinstance(it, dict) and {"role", "content"} <= it.keys() and all(isinstance(v, str) for v in it.values())
            for it in value
        )
    return isinstance(value, str) or (kind == MAYBE and value is None)
