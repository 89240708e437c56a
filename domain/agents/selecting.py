"""Which of the passages that a search found are shown to the model: no two that say the same, not all of one kind, and
no more than fit.

Diversity is maximal marginal relevance (Carbonell and Goldstein, 1998): each next passage is the one with the greatest

    (1 - DIVERSITY) · relevance - DIVERSITY · likeness to the passages chosen before,

relevance being the score by the best one's, and likeness the Jaccard index of the terms.
"""

from collections.abc import Sequence
from functools import lru_cache

from domain.knowledge import Passage
from domain.terms import content_terms

DIVERSITY = 0.15
SAME = 0.85
"""Two passages that are alike by so much say the same."""
CHARACTERS_PER_TOKEN = 4
"""Of English text, for the tokenizers that are in use."""


def select(found: Sequence[Passage], limit: int, tokens: int) -> tuple[Passage, ...]:
    """`found` is best first, so is what comes back: at most `limit` passages of about `tokens` tokens together, and one
    at least, whatever its length."""
    left = _distinct(found)
    top = max((passage.score for passage, _ in left), default=0.0)
    relevance = [passage.score / top if top > 0 else 0.0 for passage, _ in left]
    likeness = [0.0] * len(left)
    """Of each to the nearest of those that were chosen."""
    chosen: list[Passage] = []
    room = tokens * CHARACTERS_PER_TOKEN
    waiting = list(range(len(left)))
    while waiting and len(chosen) < limit:
        best = max(waiting, key=lambda place: (1 - DIVERSITY) * relevance[place] - DIVERSITY * likeness[place])
        waiting.remove(best)
        passage, its = left[best]
        length = len(passage.chunk.text) + len(passage.chunk.title)
        if length <= room or not chosen:
            chosen.append(passage)
            room -= length
            for place in waiting:
                likeness[place] = max(likeness[place], _likeness(its, left[place][1]))
    return tuple(sorted(chosen, key=lambda passage: -passage.score))


def _distinct(found: Sequence[Passage]) -> list[tuple[Passage, frozenset[str]]]:
    """With the terms of each."""
    kept: list[tuple[Passage, frozenset[str]]] = []
    for passage in found:
        its = _terms(passage.chunk.text)
        if not any(_same(its, others) for _, others in kept):
            kept.append((passage, its))
    return kept


def _same(ones: frozenset[str], others: frozenset[str]) -> bool:
    """What differs in length by more cannot be alike by so much."""
    many, more = len(ones), len(others)
    return many >= SAME * more and more >= SAME * many and _likeness(ones, others) >= SAME


def _likeness(ones: frozenset[str], others: frozenset[str]) -> float:
    both = len(ones & others)
    return both / max(1, len(ones) + len(others) - both)


@lru_cache(maxsize=2_000)
def _terms(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))
