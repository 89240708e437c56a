"""Measures of ranked lists, against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.ranking import ndcg, recall, reciprocal_rank

lists = st.lists(st.integers(0, 30), unique=True, max_size=20)
relevants = st.sets(st.integers(0, 30), min_size=1, max_size=8)


def test_ndcg_by_hand() -> None:
    # Found in second and fourth place, of two: (1/log2(3) + 1/log2(5)) / (1/log2(2) + 1/log2(3)).
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    assert ndcg(["x", "a", "y", "b"], {"a", "b"}) == pytest.approx(gained / 1.6309297536)
    assert ndcg(["a", "b", "x"], {"a", "b"}) == 1
    assert ndcg(["x", "y"], {"a"}) == 0


def test_ndcg_looks_at_no_more_than_its_depth() -> None:
    assert ndcg(["x", "a"], {"a"}, depth=1) == 0
    # Three are relevant and two places count, so two are all that can be had.
    assert ndcg(["a", "b"], {"a", "b", "c"}, depth=2) == 1


def test_recall_by_hand() -> None:
    assert recall(["a", "x", "b", "y", "z", "c"], {"a", "b", "c"}) == pytest.approx(2 / 3)
    assert recall([], {"a"}) == 0


def test_reciprocal_rank_by_hand() -> None:
    assert reciprocal_rank(["x", "y", "a", "b"], {"a", "b"}) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x"] * 1 + [str(n) for n in range(10)] + ["a"], {"a"}) == 0


@given(lists, relevants)
def test_all_lie_between_nothing_and_everything(ranked: list[int], relevant: set[int]) -> None:
    for measure in (ndcg, recall, reciprocal_rank):
        assert 0 <= measure(ranked, relevant) <= 1 + 1e-12


@given(lists, relevants)
def test_the_relevant_first_is_the_best_order(ranked: list[int], relevant: set[int]) -> None:
    best = sorted(ranked, key=lambda item: item not in relevant)
    for measure in (ndcg, recall, reciprocal_rank):
        assert measure(best, relevant) >= measure(ranked, relevant)
