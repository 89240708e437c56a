"""Answer deltas rendered by a plan: compiled once per operation, from the fields that graphql-core itself collects.

A turn has a hundred deltas for each of its other events, and for so small an object graphql-core's execution costs
more than all the rest of its way. Only AnswerDelta is planned, and only where each selected field is a plain attribute
that holds what its type says. Everything else is graphql-core's, so is whatever looks in any way unusual;
tests/graph/test_deltas.py holds both ways equal.
"""

from collections.abc import Callable
from typing import Any

from graphql import ExecutionResult, GraphQLNonNull, GraphQLObjectType
from graphql.execution.collect_fields import collect_fields
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.events import AnswerDelta

Plan = Callable[[AnswerDelta], dict[str, Any] | None]
"""The operation's data for one delta; None when it is graphql-core's to render."""

MAX_INT = 2**31 - 1
_PLAIN: dict[str, Callable[[object], bool]] = {
    "String": lambda value: type(value) is str,
    "ID": lambda value: type(value) is str,
    "Int": lambda value: type(value) is int and abs(value) <= MAX_INT,
}
"""For each scalar, whether a value is already what its `serialize` would make of it."""


class DeltaExecutor(StrawberryGraphQLCoreExecutionContext):
    """One operation's executor, with the plan when it is a subscription to a turn's events."""

    _plan: Plan | None = None
    _planned = False

    def build_per_event_executor(self, payload: object) -> Any:
        if type(payload) is AnswerDelta:
            if not self._planned:
                self._plan, self._planned = plan_of(self), True
            data = None if self._plan is None else self._plan(payload)
            if data is not None:
                return _Rendered(ExecutionResult(data, None))
        return super().build_per_event_executor(payload)


class _Rendered:
    """Stands in for the executor of one event that has no work left."""

    __slots__ = ("_result",)

    def __init__(self, result: ExecutionResult) -> None:
        self._result = result

    def execute_operation(self, serially: bool | None = None) -> ExecutionResult:
        return self._result


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
    constants: dict[str, Any] = {}
    """Every key in its order, with the value of those that are the same in every delta."""
    attributes: list[tuple[str, str, Callable[[object], bool]]] = []
    for key, selected in inner.grouped_field_set.items():
        name = selected[0].node.name.value
        constants[key] = delta.name
        if name != "__typename":
            attribute = _attribute(delta, name)
            if attribute is None:
                return None
            attributes.append((key, *attribute))

    def render(event: AnswerDelta) -> dict[str, Any] | None:
        rendered = constants.copy()
        for key, attribute, is_plain in attributes:
            value = getattr(event, attribute)
            if not is_plain(value):
                return None
            rendered[key] = value
        return {root_key: rendered}

    return render


def _attribute(delta: GraphQLObjectType, name: str) -> tuple[str, Callable[[object], bool]] | None:
    """The attribute that holds a field, and what to check its value with; None for a field that is more than that."""
    field = delta.fields.get(name)
    if field is None or not isinstance(field.type, GraphQLNonNull):
        return None
    definition = (field.extensions or {}).get("strawberry-definition")
    is_plain = _PLAIN.get(getattr(field.type.of_type, "name", ""))
    if definition is None or not definition.is_basic_field or is_plain is None:
        return None
    return definition.python_name, is_plain
