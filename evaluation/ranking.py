"""How good a ranked list is, when it is known which items are relevant (each as much as any other).

All take the list best first, each item once, and the relevant items, of which there must be one; all give [0, 1].
"""

import math
from collections.abc import Collection, Hashable, Sequence


def ndcg(ranked: Sequence[Hashable], relevant: Collection[Hashable], depth: int = 10) -> float:
    """Discounted gain of the first `depth`, over that of the best order (Järvelin and Kekäläinen, 2002):

    DCG = Σ rel(i) / log2(i + 1), i the place from 1
    """
    gained = sum(_discount(place) for place, item in enumerate(ranked[:depth]) if item in relevant)
    return gained / sum(_discount(place) for place in range(min(depth, len(relevant))))


def recall(ranked: Sequence[Hashable], relevant: Collection[Hashable], depth: int = 5) -> float:
    """The part of the relevant items that is among the first `depth`."""
    return sum(item in relevant for item in ranked[:depth]) / len(relevant)


def reciprocal_rank(ranked: Sequence[Hashable], relevant: Collection[Hashable], depth: int = 10) -> float:
    """1 / the place of the first relevant item among the first `depth`, 0 without one (Voorhees, 1999: its mean is MRR)."""
    return next((1 / place for place, item in enumerate(ranked[:depth], 1) if item in relevant), 0.0)


def _discount(place: int) -> float:
    """Of a place counted from 0."""
    return 1 / math.log2(place + 2)
