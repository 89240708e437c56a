"""Outlines: how much a document asks for, found by looking at each of its nodes once.

A fragment counts wherever it is spread, and ten fragments that spread each other twice stand for a thousand fields. So
nothing is ever spread out here: each operation and fragment becomes a `Part` that knows its own nodes and where it
spreads others, and the parts are then added up, innermost first. Without recursion: neither a long chain of fragments
nor a circle of them (which the validation refuses) reaches Python's limit.

The cost of an operation estimates the fields of its answer: 1 for each field, times the length of every list above it.
A list with `first` or `last` has the length that is asked for, at most MAX_PAGE; that of others is assumed. Types that
exclude each other are all counted, and so is what `@skip` and `@include` leave out: the estimate is an upper one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)
from graphql.language import ValueNode

from domain.pages import MAX_PAGE, PageRequest
from graph.literals import size_of_literal

CEILING = 1_000_000_000
"""What counts stop at: a document of a few hundred bytes can stand for numbers of a hundred digits."""
PAGE_ARGUMENTS = ("first", "last")
ASSUMED_LENGTH = 10
ASSUMED_LENGTHS = {"sources": 5, "spans": 3, "documentSpans": 3, "versions": 2, "routes": 2}
"""Of the lists that are not paged, by the field's name: a little above what answers commonly hold."""
ASSUMED_OF_SCHEMA = 3
"""Of the lists of introspection, but for `types`, whose length is known."""


@dataclass(frozen=True, slots=True)
class Page:
    """How many items a paged list may have: the most that is given, in the document or by these variables."""

    given: int | None
    variables: tuple[str, ...]
    default: int

    def size(self, variables: Mapping[str, Any]) -> int:
        given = [] if self.given is None else [self.given]
        given += [_page_size(variables[name]) for name in self.variables if variables.get(name) is not None]
        return max(given, default=self.default)


@dataclass(slots=True)
class Level:
    """What lies below one paged list whose length only the variables tell, and not below a further one."""

    page: Page | None
    outer: int
    """The index of the level around it."""
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Where a part spreads a fragment: below how many fields, how many times on which level."""

    fragment: str
    depth: int
    times: int
    level: int


@dataclass(slots=True)
class Part:
    """The nodes of one operation or fragment itself, without the fragments that it spreads."""

    visited: int = 0
    """Selections that were looked at."""
    depth: int = 0
    aliases: int = 0
    root_fields: int = 0
    """On the outermost level, which is the root's when this is an operation or spread on its outermost level."""
    directives: int = 0
    introspection: int = 0
    """Fields that ask about the schema."""
    values: int = 0
    """In the largest argument or default value: itself, and what lists and objects hold."""
    value_depth: int = 0
    """Of lists and objects in each other, in one argument or default value."""
    variables: int = 0
    """Declared and read."""
    levels: list[Level] = field(default_factory=lambda: [Level(None, 0)])
    """Outer ones first; the first is the part's own."""
    spreads: list[Spread] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of an operation with all that it spreads."""

    depth: int = 0
    aliases: int = 0
    root_fields: int = 0
    directives: int = 0
    introspection: int = 0


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's parts, and their counts, which no variable changes. Fragments come innermost first."""

    operations: tuple[OperationDefinitionNode, ...]
    parts: tuple[Part, ...]
    """The operations', in their order."""
    fragments: Mapping[str, Part]
    counts: tuple[Counts, ...]
    definitions: int
    """Operations and fragments, with those that have the name of another."""
    visited: int
    variables: int
    """Declared and read: by fragments once for each operation, as the validation looks at them."""
    values: int
    value_depth: int

    def index(self, name: str | None) -> int:
        """Of the operation of that name, or the first."""
        names = [None if node.name is None else node.name.value for node in self.operations]
        return 0 if name is None else names.index(name)

    def cost(self, index: int, variables: Mapping[str, Any]) -> int:
        """Of one operation. Defaults that it declares stand in for the variables that are not given."""
        declared = self.operations[index].variable_definitions or ()
        values = {
            node.variable.name.value: _literal_size(node.default_value)
            for node in declared
            if node.default_value is not None
        }
        values |= variables
        costs: dict[str, int] = {}
        for name, part in self.fragments.items():
            costs[name] = _cost(part, costs, values)
        return _cost(self.parts[index], costs, values)


def outline_of(schema: GraphQLSchema, document: DocumentNode) -> Outline:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    parts = [_part(schema, node, schema.get_root_type(node.operation)) for node in operations]
    all_ = [_part(schema, node, schema.get_type(node.type_condition.name.value)) for node in fragments]
    unordered = {node.name.value: part for node, part in zip(fragments, all_, strict=True)}
    ordered = {name: unordered[name] for name in _innermost_first(unordered)}
    counted: dict[str, Counts] = {}
    for name, part in ordered.items():
        counted[name] = _counts(part, counted)
    return Outline(
        tuple(operations),
        tuple(parts),
        ordered,
        tuple(_counts(part, counted) for part in parts),
        definitions=len(operations) + len(fragments),
        visited=sum(part.visited for part in (*parts, *all_)),
        variables=sum(part.variables for part in parts) + sum(part.variables for part in all_) * len(operations),
        values=max((part.values for part in (*parts, *all_)), default=0),
        value_depth=max((part.value_depth for part in (*parts, *all_)), default=0),
    )


def _part(
    schema: GraphQLSchema, node: OperationDefinitionNode | FragmentDefinitionNode, root: GraphQLNamedType | None
) -> Part:
    """`root` is None where the document names a type that there is not."""
    part = Part()
    _count_given(part, node)
    for declared in node.variable_definitions or ():
        part.variables += 1
        _count_given(part, declared)
    waiting: list[tuple[tuple[SelectionNode, ...], GraphQLNamedType | None, int, int, int]]
    waiting = [(node.selection_set.selections, root, 0, 1, 0)]
    while waiting:
        selections, parent, depth, times, level = waiting.pop()
        part.visited += len(selections)
        for selection in selections:
            _count_given(part, selection)
            if isinstance(selection, FragmentSpreadNode):
                part.spreads.append(Spread(selection.name.value, depth, times, level))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = parent if condition is None else schema.get_type(condition.name.value)
                waiting.append((selection.selection_set.selections, inner, depth, times, level))
            elif isinstance(selection, FieldNode):
                _count_field(part, selection, depth)
                part.levels[level].cost += times
                if selection.selection_set is not None:
                    found = _field_of(schema, parent, selection)
                    type_ = None if found is None else get_named_type(found.type)
                    length = 1 if found is None or parent is None else _length(schema, parent, found, selection)
                    below = selection.selection_set.selections
                    if isinstance(length, Page):
                        part.levels.append(Level(length, level))
                        waiting.append((below, type_, depth + 1, times, len(part.levels) - 1))
                    else:
                        waiting.append((below, type_, depth + 1, min(times * length, CEILING), level))
    return part


def _count_given(part: Part, node: Any) -> None:
    """Directives, arguments, theirs, and a variable's default."""
    values = [argument.value for argument in getattr(node, "arguments", None) or ()]
    for directive in node.directives or ():
        part.directives += 1
        values += [argument.value for argument in directive.arguments or ()]
    default = getattr(node, "default_value", None)
    for value in (*values, *(() if default is None else (default,))):
        size = size_of_literal(value)
        part.values = max(part.values, size.values)
        part.value_depth = max(part.value_depth, size.depth)
        part.variables += size.variables


def _count_field(part: Part, node: FieldNode, depth: int) -> None:
    part.depth = max(part.depth, depth + 1)
    part.aliases += node.alias is not None
    part.root_fields += depth == 0
    part.introspection += node.name.value in ("__schema", "__type")


def _field_of(schema: GraphQLSchema, parent: GraphQLNamedType | None, node: FieldNode) -> GraphQLField | None:
    return schema.get_field(parent, node.name.value) if parent is not None and is_composite_type(parent) else None


def _length(schema: GraphQLSchema, parent: GraphQLNamedType, found: GraphQLField, node: FieldNode) -> int | Page:
    """By how much a field multiplies what is below it. A connection does so itself, for its `edges`."""
    if any(name in found.args for name in PAGE_ARGUMENTS):
        page = _page(found, node)
        return page if page.variables else page.size({})
    if not is_list_type(get_nullable_type(found.type)) or parent.name.endswith("Connection"):
        return 1
    name = node.name.value
    if parent.name.startswith("__"):
        return len(schema.type_map) if name == "types" else ASSUMED_OF_SCHEMA
    return ASSUMED_LENGTHS.get(name, ASSUMED_LENGTH)


def _page(found: GraphQLField, node: FieldNode) -> Page:
    given: list[int] = []
    variables: list[str] = []
    named = {argument.name.value: argument.value for argument in node.arguments or ()}
    default = PageRequest.of().size
    for name in PAGE_ARGUMENTS:
        value = named.get(name)
        if isinstance(value, VariableNode):
            variables.append(value.name.value)
        elif value is not None and not isinstance(value, NullValueNode):
            given.append(_literal_size(value) or 0)
        elif value is None and name in found.args and isinstance(found.args[name].default_value, int):
            default = _page_size(found.args[name].default_value)
    return Page(max(given, default=None), tuple(variables), default)


def _page_size(value: object) -> int:
    """What is no number is refused later; until then it counts as the most."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MAX_PAGE
    return int(min(max(value, 0), MAX_PAGE))


def _literal_size(value: ValueNode) -> int | None:
    """None for null."""
    if isinstance(value, NullValueNode):
        return None
    digits = value.value if isinstance(value, IntValueNode) else ""
    return _page_size(int(digits) if 0 < len(digits) < len(str(CEILING)) else None)


def _innermost_first(fragments: Mapping[str, Part]) -> list[str]:
    """Each fragment after those that it spreads. Where they go in a circle, it is cut."""
    ordered: list[str] = []
    seen: set[str] = set()
    for start in fragments:
        path: list[tuple[str, Iterator[Spread]]] = []
        if start not in seen:
            seen.add(start)
            path.append((start, iter(fragments[start].spreads)))
        while path:
            name, spreads = path[-1]
            for spread in spreads:
                if spread.fragment in fragments and spread.fragment not in seen:
                    seen.add(spread.fragment)
                    path.append((spread.fragment, iter(fragments[spread.fragment].spreads)))
                    break
            else:
                ordered.append(name)
                path.pop()
    return ordered


def _counts(part: Part, counted: Mapping[str, Counts]) -> Counts:
    """Fragments that are not counted yet close a circle, or do not exist."""
    depth, aliases, root_fields = part.depth, part.aliases, part.root_fields
    directives, introspection = part.directives, part.introspection
    for spread in part.spreads:
        inner = counted.get(spread.fragment)
        if inner is not None:
            depth = max(depth, spread.depth + inner.depth)
            aliases += inner.aliases
            root_fields += inner.root_fields if spread.depth == 0 else 0
            directives += inner.directives
            introspection += inner.introspection
    return Counts(
        depth, min(aliases, CEILING), min(root_fields, CEILING), min(directives, CEILING), introspection and 1
    )


def _cost(part: Part, costs: Mapping[str, int], variables: Mapping[str, Any]) -> int:
    times: list[int] = []
    cost = 0
    for level in part.levels:
        repeated = 1 if level.page is None else times[level.outer] * level.page.size(variables)
        times.append(min(repeated, CEILING))
        cost += level.cost * times[-1]
    for spread in part.spreads:
        cost += costs.get(spread.fragment, 0) * spread.times * times[spread.level]
    return min(cost, CEILING)
