"""Outlines: what a document asks for, counted without ever spreading it out."""

from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode, Visitor, parse, visit
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from graph.outlines import CEILING
from tests.graph.judging import ALL_OPTIONS, RELAY, cost, fragments, judge, nested, outline, wide

SESSIONS = "query($n: Int) { sessions(first: $n) { edges { node { id } } } }"


def test_a_page_costs_what_it_is_asked_to_hold() -> None:
    def page(size: int) -> int:
        return 1 + size * 3

    assert cost(SESSIONS, n=7) == page(7)
    assert cost(SESSIONS) == cost(SESSIONS, n=None) == page(20)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = 50")) == page(50)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = 50"), n=60) == page(60)
    assert cost(SESSIONS.replace("$n: Int", "$n: Int = null")) == page(20)
    for literal, size in (("0", 0), ("7", 7), ("100", 100), ("101", 100), ("-1", 0), ("null", 20), ('"7"', 100),
                          ("9" * 5_000, 100)):  # fmt: skip
        assert cost(f"{{ sessions(first: {literal}) {{ edges {{ node {{ id }} }} }} }}") == page(size)
    for value, size in ((0, 0), (-5, 0), (10**9, 100), (7.0, 7), ("7", 100), (True, 100), ([], 100)):
        assert cost(SESSIONS, n=value) == page(size)
    backwards = "query($n: Int) { messages(sessionId: 1, last: $n) { edges { cursor } pageInfo { endCursor } } }"
    assert cost(backwards, n=30) == 1 + 30 * 4
    assert cost("{ messages(sessionId: 1, first: 3, last: 9) { edges { cursor } } }") == 1 + 9 * 2


def test_lists_in_lists_multiply_through_fragments_too() -> None:
    spread = """query($a: Int, $b: Int) { sessions(first: $a) { ...S } }
      fragment S on ChatSessionConnection { edges { node { messages(last: $b) { ...M } } } }
      fragment M on MessageConnection { edges { node { id sources { id } } } }"""
    assert cost(spread, a=10, b=4) == 1 + 10 * (3 + 4 * (4 + 5))
    assert cost(spread, a=100, b=100) == 1 + 100 * (3 + 100 * (4 + 5))
    assert cost("{ agents { name title } }") == 1 + 10 * 2


def bomb(number: int, times: int = 2) -> str:
    spreads = [f"fragment F{n} on User {{ {f'...F{n + 1} ' * times}}}" for n in range(number)]
    return "{ viewer { ...F0 } }" + "".join(spreads) + f"fragment F{number} on User {{ id x: id }}"


def test_fragments_that_double_are_counted_without_spreading_them() -> None:
    assert cost(bomb(10)) == 1 + 2 * 2**10
    assert outline(bomb(10)).counts[0].aliases == 2**10
    assert cost(bomb(90, 9)) == outline(bomb(90, 9)).counts[0].aliases == CEILING
    assert "1,000,000,000 or more" in judge(bomb(90))[0].message


def test_each_selection_is_looked_at_once_however_often_it_is_spread() -> None:
    for text in (bomb(90), fragments(200), wide(300), nested(30), RELAY, ALL_OPTIONS):
        assert outline(text).visited == _selections(text)


@pytest.mark.parametrize(
    "text",
    [
        "{ viewer { id } ...F } fragment F on Query { ...F }",
        "{ ...F } fragment F on Query { viewer { id } ...G } fragment G on Query { ...F ...G }",
        "{ viewer { id } } fragment F on User { ...G } fragment G on User { ...F }",
        "{ viewer { ...Missing } }",
        "{ viewer { id } } fragment F on Missing { ...Missing }",
        "{ viewer { id { id } } missing { sessions(first: 3) { id } } }",
    ],
)
def test_circles_and_gaps_are_left_to_the_validation(text: str) -> None:
    (error, *_) = judge(text)
    assert error.extensions is not None
    assert error.extensions["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "details" not in error.extensions


def test_fragments_of_one_name_are_all_counted() -> None:
    text = "{ viewer { ...F } } fragment F on User { id id(a: [$a $b]) } fragment F on User { id email }"
    found = outline(text)
    assert (found.definitions, found.visited, found.variables, found.values) == (3, 6, 2, 3)


def test_long_chains_and_circles_do_not_recurse() -> None:
    chain = "".join(f"fragment F{n} on User {{ id ...F{n + 1} }}" for n in range(5_000))
    assert cost("{ viewer { ...F0 } }" + chain) == 1 + 5_000
    circle = chain.replace("...F5000", "...F0")
    assert cost("{ viewer { ...F0 } }" + circle) == 1 + 5_000


NAMES = [f"F{n}" for n in range(5)]
LEAVES = ["id", "a: id", "__typename", "id @skip(if: false)"]


def _selection_sets(spreads: list[str]) -> st.SearchStrategy[str]:
    """Selections on Node, which has no paged lists of its own: ChatSession's are reached by type condition."""
    leaf = st.sampled_from([*LEAVES, *(f"...{name}" for name in spreads)])

    def wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        wrapped = st.sampled_from(
            [
                "... {{ {} }}",
                "... on ChatSession @include(if: true) {{ x: messages(first: $n) {{ edges {{ node {{ {} }} }} }} }}",
                "... on ChatSession {{ messages(last: 3) {{ edges {{ node {{ {} }} }} }} }}",
                "... on Message {{ versions {{ {} }} turn {{ ...F9 }} }}",
            ]
        )
        return st.builds(str.format, wrapped, inner)

    one = st.recursive(leaf, lambda inner: wrap(st.lists(inner, min_size=1, max_size=3).map(" ".join)), max_leaves=5)
    return st.lists(one, min_size=1, max_size=4).map(" ".join)


@st.composite
def nested_fragments(draw: st.DrawFn) -> str:
    """Each fragment spreads later ones only."""
    parts = [f"fragment {name} on Node {{ {draw(_selection_sets(NAMES[n + 1 :]))} }}" for n, name in enumerate(NAMES)]
    order = draw(st.permutations(parts))
    return f"query($n: Int) {{ node(id: 1) {{ {draw(_selection_sets(NAMES))} }} }} {' '.join(order)}"


@examples(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nested_fragments(), st.integers(0, 5))
def test_counting_agrees_with_spreading_everything_out(text: str, size: int) -> None:
    found = outline(text)
    naive = Naive(text, size)
    counts = found.counts[0]
    assert (counts.depth, counts.aliases, counts.directives, counts.root_fields) == (
        naive.depth, naive.aliases, naive.directives, 1
    )  # fmt: skip
    assert found.cost(0, {"n": size}) == naive.cost
    assert found.visited == _selections(text)


class Naive:
    """Counts by walking into every spread, each time."""

    def __init__(self, text: str, size: int) -> None:
        document = parse(text)
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.lengths = {"messages": {"first": size, "last": 3}, "versions": {"": 2}}
        self.depth = self.aliases = self.directives = self.cost = 0
        (operation,) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._walk(operation.selection_set, 0, 1)

    def _walk(self, selection_set: SelectionSetNode, depth: int, times: int) -> None:
        for node in selection_set.selections:
            self.directives += len(node.directives or ())
            if node.kind == "fragment_spread":
                spread = self.fragments.get(node.name.value)  # type: ignore[attr-defined]
                if spread is not None:
                    self._walk(spread.selection_set, depth, times)
            elif node.kind == "inline_fragment":
                self._walk(node.selection_set, depth, times)  # type: ignore[attr-defined]
            else:
                self._field(node, depth, times)

    def _field(self, node: Any, depth: int, times: int) -> None:
        self.depth = max(self.depth, depth + 1)
        self.aliases += node.alias is not None
        self.cost += times
        argument = node.arguments[0].name.value if node.arguments else ""
        length = self.lengths.get(node.name.value, {}).get(argument, 1)
        if node.selection_set is not None:
            self._walk(node.selection_set, depth + 1, times * length)


def _selections(text: str) -> int:
    class Counting(Visitor):
        found = 0

        def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:
            self.found += len(node.selections)

    counting = Counting()
    visit(parse(text), counting)
    return counting.found
