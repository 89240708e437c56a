"""How well a score tells questions that can be answered (`inside`) from those that cannot (`outside`).

A higher score says: answer it. A threshold refuses what scores below it, so equal scores share one fate.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float | None:
    """The chance that one of `inside` scores above one of `outside`, ties counting half: the area under the ROC curve
    (Hanley and McNeil, 1982). None when either is empty."""
    if not inside or not outside:
        return None
    ordered = sorted(outside)
    wins = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in inside)
    return wins / (2 * len(inside) * len(outside))


def refused_at(inside: Sequence[float], outside: Sequence[float], allowed: float) -> float | None:
    """The part of `outside` that is refused by the highest threshold which refuses at most the part `allowed` of
    `inside`. None when either is empty."""
    if not inside or not outside:
        return None
    threshold = sorted(inside)[min(int(allowed * len(inside)), len(inside) - 1)]
    return sum(score < threshold for score in outside) / len(outside)


@dataclass(frozen=True, slots=True)
class Risk:
    """One point of a risk–coverage curve: of all questions the part `coverage` is answered, by those with a score of at
    least `threshold`; the part `risk` of these should not have been."""

    threshold: float
    coverage: float
    risk: float


def risk_coverage(inside: Sequence[float], outside: Sequence[float]) -> list[Risk]:
    """One point for each score that occurs, the most careful threshold first (El-Yaniv and Wiener, 2010). An answer is
    taken to be wrong exactly where the question has none."""
    scored = sorted([*((score, False) for score in inside), *((score, True) for score in outside)], reverse=True)
    points: list[Risk] = []
    wrong = 0
    for answered, (score, is_wrong) in enumerate(scored, 1):
        wrong += is_wrong
        if answered == len(scored) or scored[answered][0] < score:
            points.append(Risk(score, answered / len(scored), wrong / answered))
    return points


def area_under_risk(points: Sequence[Risk]) -> float | None:
    """The mean risk over the coverages, each point standing for the coverage that it adds (AURC; Geifman and El-Yaniv,
    2019): less is better. None without points."""
    if not points:
        return None
    area, before = 0.0, 0.0
    for point in points:
        area += (point.coverage - before) * point.risk
        before = point.coverage
    return area / before
