"""Reading again: a model that reads each passage beside the question orders what a search found."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from domain.knowledge import Passage

_log = structlog.get_logger()

CANDIDATES = 30
"""Passages that are read again for one need, unless the agent shows more."""


class RerankUnavailable(Exception):
    """The reader gave no order. What it was asked with is the cause."""


class Reranker(Protocol):
    """Belongs to one event loop; end it with `close`."""

    @property
    def name(self) -> str: ...

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """For each text, how well it answers: higher is better, comparable within one call, of any scale. Raises
        RerankUnavailable."""
        ...

    async def close(self) -> None: ...


async def reranked(reranker: Reranker, question: str, found: Sequence[Passage]) -> Sequence[Passage]:
    """The same passages with the reader's scores, in [0, 1], best first. Without the reader they stay as the search
    ordered them: an answer from second-best passages is better than none."""
    if not found:
        return found
    try:
        scores = await reranker.scores(question, [f"{it.chunk.title}\n{it.chunk.text}" for it in found])
    except RerankUnavailable as failure:
        _log.warning("not_reranked", reranker=reranker.name, reason=str(failure))
        return found
    told = [replace(passage, score=score) for passage, score in zip(found, _shares(scores), strict=True)]
    return sorted(told, key=lambda passage: -passage.score)


def _shares(scores: Sequence[float]) -> Sequence[float]:
    """Logits as shares; shares as they are."""
    if all(0 <= score <= 1 for score in scores):
        return scores
    return [1 / (1 + math.exp(-max(-60.0, min(60.0, score)))) for score in scores]
