"""Literals: how large the values are that stand in a document itself."""

from dataclasses import dataclass

from graphql import ListValueNode, ObjectValueNode, VariableNode
from graphql.language import ValueNode


@dataclass(frozen=True, slots=True)
class LiteralSize:
    values: int = 0
    """Itself, and what its lists and objects hold."""
    depth: int = 0
    """Lists and objects in each other."""
    variables: int = 0
    """That are read in it."""


def size_of_literal(value: ValueNode) -> LiteralSize:
    waiting, values, deepest, variables = [(value, 0)], 0, 0, 0
    while waiting:
        held, depth = waiting.pop()
        values += 1
        if isinstance(held, VariableNode):
            variables += 1
        elif isinstance(held, ListValueNode):
            deepest = max(deepest, depth + 1)
            waiting += [(item, depth + 1) for item in held.values]
        elif isinstance(held, ObjectValueNode):
            deepest = max(deepest, depth + 1)
            waiting += [(member.value, depth + 1) for member in held.fields]
    return LiteralSize(values, deepest, variables)
