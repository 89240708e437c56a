"""What the words of passages say and what their knowledge base knows of those words, as one score.

A search by words scores passages by how much of the question they cover. Where it also tells how near they lie to the
question in the latent-semantic space of their knowledge base, that counts beside it: docs/decisions/0058. The router,
whose measures are of words, does without.
"""

from collections.abc import Sequence

from domain.knowledge import Passage

LATENT = 0.5
"""The weight of a cosine beside a coverage. On MT-RAG's tasks anything from 0.3 to 1 gains."""


def blended(found: Sequence[Passage]) -> Sequence[Passage]:
    """The same passages, the best first by both; as they are unless both are known of each. Scores stay in [0, 1)."""
    if any(passage.latent is None or passage.likeness is not None for passage in found):
        return found
    told = [Passage(it.chunk, _both(it.score, float(it.latent or 0.0)), it.likeness, it.latent) for it in found]
    return sorted(told, key=lambda passage: -passage.score)


def _both(coverage: float, cosine: float) -> float:
    return (coverage + LATENT * max(0.0, cosine)) / (1 + LATENT)
