"""The order of passages by words and by the latent-semantic space of their knowledge base."""

from domain.agents.blending import LATENT, blended
from domain.knowledge import Chunk, Passage


def passage(name: str, score: float, latent: float | None, likeness: float | None = None) -> Passage:
    return Passage(Chunk(name, name, "a", (name,), name, 0), score, likeness, latent)


def test_both_count() -> None:
    found = [passage("words", 0.6, 0.0), passage("both", 0.5, 0.8), passage("far", 0.4, -0.9)]
    best, *others = blended(found)
    assert [best.chunk.id, *(one.chunk.id for one in others)] == ["both", "words", "far"]
    assert best.score == (0.5 + LATENT * 0.8) / (1 + LATENT)
    assert others[1].score == 0.4 / (1 + LATENT), "to lie on the other side is no worse than to lie across"


def test_scores_stay_below_one() -> None:
    (only,) = blended([passage("all", 0.999, 1.0)])
    assert 0 < only.score < 1


def test_equals_stay_in_their_order() -> None:
    found = [passage(name, 0.5, 0.5) for name in "abc"]
    assert [one.chunk.id for one in blended(found)] == ["a", "b", "c"]


def test_without_a_space_or_with_vectors_they_stay_as_they_are() -> None:
    unknown = [passage("one", 0.4, None), passage("two", 0.5, None)]
    partly = [passage("one", 0.4, 0.9), passage("two", 0.5, None)]
    vectors = [passage("one", 0.4, 0.1, 0.8), passage("two", 0.3, 0.9, 0.7)]
    for found in (unknown, partly, vectors, []):
        assert blended(found) == found
