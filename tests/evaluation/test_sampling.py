"""Whether changes are told from chance, and percentiles."""

import random
from collections.abc import Sequence
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.sampling import difference, percentile


def share(rows: Sequence[bool]) -> float | None:
    return fmean(rows) if rows else None


def test_a_large_change_is_beyond_noise() -> None:
    before, after = [False] * 40 + [True] * 60, [True] * 100
    found = difference(before, after, [str(n) for n in range(100)], share, seed=1)
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert 0.3 < found.low < 0.4 < found.high < 0.5
    assert found.is_beyond_noise


def test_a_change_both_ways_is_noise() -> None:
    before = [n % 2 == 0 for n in range(100)]
    after = [n % 2 == 0 if n > 3 else n % 2 == 1 for n in range(100)]
    found = difference(before, after, [str(n) for n in range(100)], share, seed=1)
    assert found is not None
    assert found.value == 0
    assert not found.is_beyond_noise


def test_what_changed_in_one_conversation_alone_is_noise() -> None:
    before, after = [False] * 10 + [True] * 90, [True] * 100
    groups = ["the one"] * 10 + [str(n // 10) for n in range(90)]
    apart = difference(before, after, [str(n) for n in range(100)], share, seed=1)
    together = difference(before, after, groups, share, seed=1)
    assert apart is not None
    assert apart.is_beyond_noise
    assert together is not None
    assert not together.is_beyond_noise


def test_the_same_seed_gives_the_same_bounds() -> None:
    chance = random.Random(7)
    rows = [[chance.random() for _ in range(50)] for _ in range(2)]
    groups = [str(n) for n in range(50)]
    one, other = (difference(rows[0], rows[1], groups, lambda it: fmean(it), seed=3) for _ in range(2))
    assert one == other
    assert one != difference(rows[0], rows[1], groups, lambda it: fmean(it), seed=4)


def test_a_figure_without_a_value_has_no_difference() -> None:
    assert difference([1], [2], ["a"], lambda rows: None, seed=1) is None


def test_percentiles_by_hand() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.95) == 95
    assert percentile([3.0], 0.95) == 3


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_has_its_part_below(values: list[float], part: float) -> None:
    found = percentile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) - 1e-9
