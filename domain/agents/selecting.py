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
    distinct = _distinct(found)
    top = max((passage.score for passage in distinct), default=0.0)
    chosen: list[Passage] = []
    room = tokens * CHARACTERS_PER_TOKEN
    while distinct and len(chosen) < limit:
        best = max(distinct, key=lambda passage: _worth(passage, chosen, top))
        distinct.remove(best)
        length = len(best.chunk.text) + len(best.chunk.title)
        if length <= room or not chosen:
            chosen.append(best)
            room -= length
    return tuple(sorted(chosen, key=lambda passage: -passage.score))


def _distinct(found: Sequence[Passage]) -> list[Passage]:
    kept: list[Passage] = []
    for passage in found:
        if all(_likeness(passage, other) < SAME for other in kept):
            kept.append(passage)
    return kept


def _worth(passage: Passage, chosen: Sequence[Passage], top: float) -> float:
    relevance = passage.score / top if top > 0 else 0.0
    return (1 - DIVERSITY) * relevance - DIVERSITY * max((_likeness(passage, other) for other in chosen), default=0.0)


def _likeness(one: Passage, other: Passage) -> float:
    ones, others = _terms(one.chunk.text), _terms(other.chunk.text)
    return len(ones & others) / max(1, len(ones | others))


@lru_cache(maxsize=2_000)
def _terms(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))
