"""What is sent for one result of an operation, the same over every protocol."""

from typing import Any

import orjson
from strawberry.types import ExecutionResult

from graph.context import DeskContext
from graph.errors import tell_all


def answer_of(result: ExecutionResult, context: DeskContext) -> dict[str, Any]:
    """The response map of GraphQL § 7.1. A request that failed before anything ran has no `data` entry."""
    answer: dict[str, Any] = {}
    if not is_request_error(result):
        answer["data"] = result.data
    if result.errors:
        answer["errors"] = tell_all(result.errors, context.request_id)
    if result.extensions:
        answer["extensions"] = result.extensions
    return answer


def is_request_error(result: ExecutionResult) -> bool:
    """Errors of fields have a path; those of the whole request (or of a subscription's source) have none."""
    return result.data is None and bool(result.errors) and all(error.path is None for error in result.errors or ())


def encode(value: Any) -> bytes:
    return orjson.dumps(value)
