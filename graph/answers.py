"""What is sent for one result of an operation, the same over every protocol."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
from strawberry.types import ExecutionResult

from graph.context import DeskContext
from graph.deltas import run_of
from graph.errors import tell_all

Results = AsyncGenerator[ExecutionResult, None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One result as it is sent: `body` is the response map of GraphQL § 7.1 as JSON, `cursor` the `seq` of the turn event
    that it tells, if any. `errors` are those of a request of which nothing ran, which has no `data`."""

    body: bytes
    cursor: int | None = None
    errors: list[dict[str, Any]] | None = None


async def answers(results: Results, context: DeskContext) -> AsyncGenerator[Sequence[Answer], None]:
    """The results of an operation, those together that came at once; `results` are closed in the end."""
    async with aclosing(results):
        async for result in results:
            run = run_of(result.data)
            if run is None:
                answer = answer_of(result, context)
                errors = answer["errors"] if is_request_error(result) else None
                yield (Answer(encode(answer), context.cursor, errors),)
                continue
            while taken := await run.read():
                yield [Answer(b'{"data":%b}' % data, seq) for seq, data in taken]


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
