"""Which of the passages that a search found are shown to the model: no two that say the same, not all of one kind, and
no more than fit.

Diversity is maximal marginal relevance (Carbonell and Goldstein, 1998): each next passage is the one with the greatest

    (1 - DIVERSITY) · relevance - DIVERSITY · likeness to the passages chosen before,

relevance being the score by the best one's, and likeness the Jaccard index of the terms.
"""

from collections.abc import Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush

from domain.knowledge import Passage
from domain.terms import content_terms

DIVERSITY = 0.15
SAME = 0.85
"""Two passages that are alike by so much say the same."""
CHARACTERS_PER_TOKEN = 4
"""Of English text, for the tokenizers that are in use."""


def select(found: Sequence[Passage], limit: int, tokens: int) -> tuple[Passage, ...]:
    """`found` is best first, so is what comes back: at most `limit` passages of about `tokens` tokens together, and one
    at least, whatever its length.

    What is chosen only takes value from what waits, so a passage is compared to what was chosen since when it comes first
    by its value of before, and most are never compared (Minoux, Accelerated Greedy Algorithms, 1978)."""
    read = _Read(found)
    top = max((passage.score for passage in found), default=0.0)
    relevance = [(1 - DIVERSITY) * (passage.score / top if top > 0 else 0.0) for passage in found]
    likeness = [0.0] * len(found)
    """Of each to the nearest of those that were chosen when it was `compared`."""
    compared = [0] * len(found)
    chosen: list[int] = []
    room = tokens * CHARACTERS_PER_TOKEN
    waiting = [(-value, place) for place, value in enumerate(relevance)]
    heapify(waiting)
    while waiting and len(chosen) < limit:
        _, best = heappop(waiting)
        if compared[best] < len(chosen):
            likeness[best] = max(likeness[best], *(read.likeness(best, it) for it in chosen[compared[best] :]))
            compared[best] = len(chosen)
            heappush(waiting, (DIVERSITY * likeness[best] - relevance[best], best))
        elif read.distinct(best):
            chunk = found[best].chunk
            length = len(chunk.text) + len(chunk.title)
            if length <= room or not chosen:
                chosen.append(best)
                room -= length
    return tuple(sorted((found[place] for place in chosen), key=lambda passage: -passage.score))


class _Read:
    """What was found, by its places, and how alike the texts are."""

    def __init__(self, found: Sequence[Passage]) -> None:
        self._terms = [_terms(passage.chunk.text) for passage in found]
        self._distinct: dict[int, bool] = {}

    def distinct(self, place: int) -> bool:
        """Whether it says something that none of the distinct ones before it says."""
        known = self._distinct.get(place)
        if known is None:
            known = not any(self._same(place, before) and self.distinct(before) for before in range(place))
            self._distinct[place] = known
        return known

    def likeness(self, one: int, other: int) -> float:
        return _likeness(self._terms[one], self._terms[other])

    def _same(self, one: int, other: int) -> bool:
        """What differs in length by more cannot be alike by so much."""
        many, more = len(self._terms[one]), len(self._terms[other])
        return many >= SAME * more and more >= SAME * many and self.likeness(one, other) >= SAME


def _likeness(ones: frozenset[str], others: frozenset[str]) -> float:
    both = len(ones & others)
    return both / max(1, len(ones) + len(others) - both)


@lru_cache(maxsize=2_000)
def _terms(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))
