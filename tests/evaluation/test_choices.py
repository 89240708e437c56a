"""Measures of sets, against values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.choices import jaccard, macro_f1

sets = st.frozensets(st.sampled_from("abcd"))


def test_jaccard_by_hand() -> None:
    assert jaccard({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert jaccard(set(), set()) == 1
    assert jaccard({"a"}, set()) == 0


def test_macro_f1_by_hand() -> None:
    # a: wanted twice, chosen once rightly: 2·1 / (2 + 0 + 1) = 2/3. b: wanted once, chosen there and once too often: 2/3.
    pairs = [({"a"}, {"a"}), ({"a"}, {"b"}), ({"b"}, {"b"})]
    assert macro_f1(pairs) == pytest.approx(2 / 3)
    # c is wanted and never chosen: 0, and counts as much as the others.
    assert macro_f1([*pairs, ({"c"}, set())]) == pytest.approx(4 / 9)
    assert macro_f1([(set(), {"a"})]) is None


@given(st.lists(st.tuples(sets, sets), min_size=1))
def test_macro_f1_is_one_for_what_is_all_right_and_within_bounds_otherwise(
    pairs: list[tuple[frozenset[str], frozenset[str]]],
) -> None:
    value = macro_f1(pairs)
    assert value is None or 0 <= value <= 1
    right = macro_f1([(wanted, wanted) for wanted, _ in pairs])
    assert right is None or right == 1


@given(sets, sets)
def test_jaccard_does_not_mind_which_is_which(one: frozenset[str], other: frozenset[str]) -> None:
    assert jaccard(one, other) == jaccard(other, one)
    assert (jaccard(one, other) == 1) == (one == other)
