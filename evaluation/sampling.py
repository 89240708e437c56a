"""Whether a difference between two runs is more than chance, and percentiles."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

RESAMPLES = 1_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a figure rose; [low, high] holds CONFIDENCE of the resampled differences."""

    value: float
    low: float
    high: float

    @property
    def is_beyond_noise(self) -> bool:
        return self.low > 0 or self.high < 0


def difference(
    before: Sequence[T],
    after: Sequence[T],
    groups: Sequence[str],
    figure: Callable[[Sequence[T]], float | None],
    seed: int,
) -> Difference | None:
    """The paired bootstrap (Efron and Tibshirani, 1993; Koehn, 2004). Row i of both is the same case, of groups[i]. Whole
    groups are drawn, since the turns of one conversation are not independent. None when the figure has no value."""
    was, now = figure(before), figure(after)
    if was is None or now is None:
        return None
    places: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    members = list(places.values())
    chance = random.Random(seed)  # noqa: S311
    found: list[float] = []
    for _ in range(RESAMPLES):
        drawn = [place for group in chance.choices(members, k=len(members)) for place in group]
        old, new = figure([before[place] for place in drawn]), figure([after[place] for place in drawn])
        if old is not None and new is not None:
            found.append(new - old)
    if not found:
        return None
    outside = (1 - CONFIDENCE) / 2
    return Difference(now - was, percentile(found, outside), percentile(found, 1 - outside))


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least the part `part` of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
