"""Measures of a score that tells two kinds of questions apart, against values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.separation import Risk, area_under_risk, auroc, refused_at, risk_coverage

scores = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=30)
shares = st.floats(0, 1)


def test_auroc_by_hand() -> None:
    # Pairs: 3>1, 3>2, 2>1, 2=2 → (1 + 1 + 1 + 0.5) / 4.
    assert auroc([3, 2], [1, 2]) == pytest.approx(3.5 / 4)
    assert auroc([1], [2]) == 0
    assert auroc([], [1]) is None


@given(scores, scores)
def test_auroc_counts_pairs(inside: list[float], outside: list[float]) -> None:
    wins = sum((i > o) + 0.5 * (i == o) for i in inside for o in outside)
    assert auroc(inside, outside) == pytest.approx(wins / (len(inside) * len(outside)))


def test_what_is_refused_by_hand() -> None:
    inside = [float(n) for n in range(10)]
    # One of ten may be refused: whatever scores below 1.
    assert refused_at(inside, [0.5, 0.9, 1.0, 5.0], 0.10) == pytest.approx(1 / 2)
    # None of ten may: 5 % is half a question.
    assert refused_at(inside, [-1.0, 0.0], 0.05) == pytest.approx(1 / 2)
    # A decision without shades that refuses too often cannot refuse fewer.
    assert refused_at([0.0, 0.0, 1.0], [0.0, 0.0], 0.10) == 0


@given(scores, scores, shares)
def test_no_more_than_allowed_is_refused_and_one_score_more_would_be(
    inside: list[float], outside: list[float], allowed: float
) -> None:
    refused = refused_at(inside, outside, allowed)
    can_be = [
        sum(score < threshold for score in outside) / len(outside)
        for threshold in [*inside, *outside, max(inside)]
        if sum(score < threshold for score in inside) <= allowed * len(inside) and threshold <= max(inside)
    ]
    assert refused == pytest.approx(max(can_be, default=0.0))


def test_the_curve_by_hand() -> None:
    points = risk_coverage([3, 2], [2, 1])
    assert points == [Risk(3, 0.25, 0.0), Risk(2, 0.75, 1 / 3), Risk(1, 1.0, 0.5)]
    # 0.25 · 0 + 0.5 · 1/3 + 0.25 · 1/2
    assert area_under_risk(points) == pytest.approx(0.5 / 3 + 0.125)
    assert area_under_risk([]) is None


@given(scores, scores)
def test_answering_everything_is_as_risky_as_the_questions_are(inside: list[float], outside: list[float]) -> None:
    points = risk_coverage(inside, outside)
    assert points[-1].coverage == 1
    assert points[-1].risk == pytest.approx(len(outside) / (len(inside) + len(outside)))
    coverages = [point.coverage for point in points]
    assert coverages == sorted(set(coverages))


@given(scores, scores)
def test_a_score_that_tells_them_apart_is_less_risky(inside: list[float], outside: list[float]) -> None:
    apart = risk_coverage([score + 100 for score in inside], outside)
    assert (area_under_risk(apart) or 0) <= (area_under_risk(risk_coverage(inside, outside)) or 0) + 1e-12
