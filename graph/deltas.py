"""Answer deltas rendered by a plan: compiled once per operation, from the fields that graphql-core itself collects.

A turn has a hundred deltas for each of its other events, and for so small an object the way through Strawberry and
graphql-core costs more than all the rest. So deltas that follow one another go round it: the subscription yields them
as one `DeltaRun`, which whoever sends its results reads to its end (`graph.answers`). Only AnswerDelta is planned, and
only where each selected field is one of PLAIN. Everything else is graphql-core's, so is whatever looks in any way
unusual; tests/graph/test_deltas.py holds both ways equal.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLObjectType
from graphql.execution.collect_fields import collect_fields
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.events import AnswerDelta, TurnEvent
from graph.context import DeskContext
from graph.ids import TURN, encode_id

Plan = Callable[[AnswerDelta], bytes | None]
"""The operation's data for one delta, as JSON; None when it is graphql-core's to render."""

MAX_INT = 2**31 - 1


def _seq(delta: AnswerDelta) -> bytes | None:
    return b"%d" % delta.seq if delta.seq <= MAX_INT else None


def _turn_id(delta: AnswerDelta) -> bytes | None:
    return b'"%b"' % encode_id(TURN, delta.turn_id).encode()


def _text(delta: AnswerDelta) -> bytes | None:
    return orjson.dumps(delta.text)


PLAIN: dict[str, Callable[[AnswerDelta], bytes | None]] = {"seq": _seq, "turnId": _turn_id, "text": _text}
"""For each field of AnswerDelta in the schema, how a delta has it; None for a value that its type does not hold."""


class DeltaExecutor(StrawberryGraphQLCoreExecutionContext):
    """One operation's executor, which makes the plan at the operation's first event."""

    def build_per_event_executor(self, payload: object) -> Any:
        if type(payload) is DeltaRun:
            return _Rendered(ExecutionResult({"run": payload}, None))
        context: DeskContext = self.context_value
        if not context.planned:
            context.plan, context.planned = plan_of(self), True
        return super().build_per_event_executor(payload)


class _Rendered:
    """Stands in for the executor of one event that has no work left."""

    __slots__ = ("_result",)

    def __init__(self, result: ExecutionResult) -> None:
        self._result = result

    def execute_operation(self, serially: bool | None = None) -> ExecutionResult:
        return self._result


class DeltaRun:
    """Deltas of a turn, to the next event that is something else. `waiting` are the events that came and were not taken:
    when the run is over, those behind it. `failure` is what ended the stream of events, if anything did."""

    def __init__(
        self, context: DeskContext, plan: Plan, waiting: list[TurnEvent], batches: AsyncGenerator[Sequence[TurnEvent]]
    ) -> None:
        self.waiting = waiting
        self.failure: Exception | None = None
        self._context = context
        self._plan = plan
        self._batches = batches

    async def read(self) -> list[tuple[int, bytes]]:
        """`seq` and rendered data of each delta that came at once; nothing at the end of the run."""
        if not self.waiting:
            try:
                self.waiting.extend(await anext(self._batches))
            except StopAsyncIteration:
                return []
            except Exception as failure:
                self.failure = failure
                return []
        taken = []
        for delta in self.waiting:
            data = self._plan(delta) if type(delta) is AnswerDelta else None
            if data is None:
                break
            taken.append((delta.seq, data))
        if taken:
            self._context.cursor = taken[-1][0]
            del self.waiting[: len(taken)]
        return taken


def run_of(result_data: object) -> DeltaRun | None:
    """The run that a result stands for; None for an ordinary one."""
    if type(result_data) is dict and type(run := result_data.get("run")) is DeltaRun:
        return run
    return None


def plan_of(executor: StrawberryGraphQLCoreExecutionContext) -> Plan | None:
    """None when graphql-core has to render this operation's deltas. Directives and variables are settled here: they are
    the same for all of an operation's events."""
    schema, operation = executor.schema, executor.operation
    root, delta = schema.subscription_type, schema.get_type("AnswerDelta")
    if root is None or not isinstance(delta, GraphQLObjectType):
        return None
    if executor.middleware_manager is not None and executor.middleware_manager.middlewares:
        return None
    collected = collect_fields(schema, executor.fragments, executor.variable_values, root, operation)
    if len(collected.grouped_field_set) != 1 or collected.new_defer_usages:
        return None
    ((root_key, nodes),) = collected.grouped_field_set.items()
    inner = executor.collect_subfields(delta, nodes)
    if inner.new_defer_usages:
        return None
    names = {key: selected[0].node.name.value for key, selected in inner.grouped_field_set.items()}
    if not all(name == "__typename" or _is_plain(delta, name) for name in names.values()):
        return None
    return _compiled(root_key, names)


def _compiled(root_key: str, names: dict[str, str]) -> Plan:
    """`names` are the fields by their keys in the answer, in its order."""
    written: list[tuple[bytes, Callable[[AnswerDelta], bytes | None]]] = []
    """What stands before each value, and the value."""
    before = b"{%b:{" % orjson.dumps(root_key)
    for place, (key, name) in enumerate(names.items()):
        before += (b"," if place else b"") + orjson.dumps(key) + b":"
        if name == "__typename":
            before += b'"AnswerDelta"'
        else:
            written.append((before, PLAIN[name]))
            before = b""
    end = before + b"}}"

    def render(delta: AnswerDelta) -> bytes | None:
        parts: list[bytes] = []
        for before, value in written:
            told = value(delta)
            if told is None:
                return None
            parts += (before, told)
        parts.append(end)
        return b"".join(parts)

    return render


def _is_plain(delta: GraphQLObjectType, name: str) -> bool:
    """Whether a field is no more than the attribute that PLAIN takes it for."""
    field = delta.fields.get(name)
    definition = field and (field.extensions or {}).get("strawberry-definition")
    return bool(definition and definition.is_basic_field and name in PLAIN)
