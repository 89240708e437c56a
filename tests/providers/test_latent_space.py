"""The latent-semantic space of a knowledge base: the same as an exact decomposition, in the library and in the index."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from domain.chunking import MARKDOWN
from domain.knowledge import ANYBODY, Document, Reader
from domain.terms import terms
from providers.embedded_search import EmbeddedSearch
from providers.latent_space import (
    CHUNKS_EACH,
    DIMENSIONS,
    FEWEST_DIMENSIONS,
    MOST_CHUNKS,
    ChunkTerms,
    cosines,
    point,
    space_of,
)
from tests.standins.embedder import LetterEmbedder

TOPICS = {
    "boats": "sail mast keel rudder harbour anchor deck sailor",
    "bread": "flour dough yeast oven crust baker knead loaf",
    "chess": "pawn knight bishop rook castle check opening endgame",
}
FEW = CHUNKS_EACH * FEWEST_DIMENSIONS


def chunks(count: int, seed: int = 0) -> list[ChunkTerms]:
    """Each of one topic: five of its words, and three that any may have."""
    dice = random.Random(seed)
    topics = [words.split() for words in TOPICS.values()]
    return [
        ChunkTerms(number, dice.sample(topics[number % 3], 5) + [f"word{dice.randrange(60)}" for _ in range(3)])
        for number in range(1, count + 1)
    ]


def near(read: Sequence[ChunkTerms], *asked: str) -> dict[int, float]:
    space = space_of(read)
    assert space is not None
    points = {number: point(stored) for number, stored in space.chunks.items()}
    found = cosines([point(space.terms[term]) for term in asked if term in space.terms], points)
    return {number: float(cosine) for number, cosine in found.items()}


def exactly(read: Sequence[ChunkTerms], dimensions: int, *asked: str) -> dict[int, float]:
    """By the whole decomposition of the whole matrix."""
    known = sorted({term for chunk in read for term in chunk.terms})
    often = np.array([[Counter(chunk.terms)[term] for term in known] for chunk in read], dtype=float)
    rarity = np.log(len(read) / (often > 0).sum(axis=0))
    matrix = np.where(often > 0, 1 + np.log(np.maximum(often, 1)), 0) * rarity
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    _, _, axes = np.linalg.svd(matrix, full_matrices=False)
    there = matrix @ axes[:dimensions].T
    question = axes[:dimensions] @ (np.array([term in asked for term in known]) * rarity)
    found = there @ question / (np.linalg.norm(there, axis=1) * np.linalg.norm(question))
    return {chunk.number: float(cosine) for chunk, cosine in zip(read, found, strict=True)}


@pytest.mark.parametrize("count", [FEW, 150, DIMENSIONS * CHUNKS_EACH + 50])
def test_it_is_that_of_the_exact_decomposition(count: int) -> None:
    """But for dimensions of noise, which are as good as one another: those words of any topic make most of them here."""
    read = chunks(count)
    dimensions = min(DIMENSIONS, count // CHUNKS_EACH)
    for asked in (["sail"], ["flour", "oven"], ["word7", "rook"]):
        found, exact = near(read, *asked), exactly(read, dimensions, *asked)
        assert found.keys() == exact.keys()
        assert np.corrcoef(list(found.values()), list(exact.values()))[0, 1] > 0.95


def test_a_chunk_is_near_without_one_of_the_words() -> None:
    read = chunks(240)
    found = near(read, "sail")
    boats, *others = (
        [found[chunk.number] for chunk in read if chunk.number % 3 == place and "sail" not in chunk.terms]
        for place in (0, 1, 2)
    )
    assert min(boats) > 0
    assert fmean(boats) > 0.3
    assert all(abs(fmean(topic)) < 0.1 for topic in others)


def test_the_same_documents_give_the_same_space() -> None:
    assert space_of(chunks(120)) == space_of(chunks(120))


def test_what_some_may_not_read_has_no_part_in_it() -> None:
    read = chunks(120)
    secret = ChunkTerms(999, ["sail", "rook", "merger", "merger"], restricted=True)
    alone, beside = space_of(read), space_of([*read, secret, ChunkTerms(1000, ["merger"], restricted=True)])
    assert alone is not None
    assert beside is not None
    assert beside.terms == alone.terms
    assert beside.chunks.keys() - alone.chunks.keys() == {999}, "one of unknown words alone lies nowhere"
    assert {number: beside.chunks[number] for number in alone.chunks} == alone.chunks


def test_knowledge_bases_that_are_too_small_or_too_large_have_none() -> None:
    assert space_of([]) is None
    assert space_of(chunks(FEW - 1)) is None
    assert space_of([*chunks(FEW - 1), ChunkTerms(0, [])]) is None, "an empty chunk is none"
    assert space_of([ChunkTerms(number, ["word"]) for number in range(MOST_CHUNKS + 1)]) is None


def test_a_word_that_is_everywhere_says_nothing() -> None:
    read = [ChunkTerms(chunk.number, [*chunk.terms, "desk"]) for chunk in chunks(FEW)]
    assert near(read, "desk") == {}
    assert near(read, "nowhere") == {}
    assert not any(map(math.isnan, near(read, "desk", "sail").values()))


def test_it_can_be_given_up() -> None:
    class Stopped(Exception):
        pass

    def proceed() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        space_of(chunks(FEW), proceed)


# ---------------------------------------------------------------- in the index


def documents(count: int, digest: str = "1") -> list[Document]:
    return [Document(f"d{c.number}", "a", "", " ".join(c.terms), MARKDOWN, digest) for c in chunks(count)]


async def latent(search: EmbeddedSearch, question: str, reader: Reader = ANYBODY) -> dict[str, float | None]:
    found = await search.search("a", question, 500, reader)
    return {p.chunk.document_id: None if p.latent is None else float(p.latent) for p in found}


async def test_passages_tell_how_near_they_lie(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", documents(120))
    found = await latent(search, "sail and word7")
    read = [ChunkTerms(c.number, [term for word in c.terms for term in terms(word)]) for c in chunks(120)]
    expected = near(read, *terms("sail"), *terms("word7"))
    assert found == {name: pytest.approx(expected[int(name[1:])], abs=0.05) for name in found}
    assert await latent(search, "sail and word7") == found, "from memory"
    await search.close()


async def test_it_follows_the_documents(tmp_path: Path) -> None:
    search, other = EmbeddedSearch(tmp_path / "one"), EmbeddedSearch(tmp_path / "other")
    await search.index("a", documents(100))
    before = await latent(search, "sail")
    await search.index("a", documents(150))
    await other.index("a", documents(150))
    after = await latent(search, "sail")
    assert after == {name: pytest.approx(cosine, abs=0.05) for name, cosine in (await latent(other, "sail")).items()}
    assert after != before
    await search.index("a", documents(FEW - 1))
    assert set((await latent(search, "sail")).values()) == {None}
    await search.close()
    await other.close()


async def test_an_embedder_takes_its_place(tmp_path: Path) -> None:
    words, vectors = EmbeddedSearch(tmp_path), EmbeddedSearch(tmp_path, LetterEmbedder())
    await words.index("a", documents(100))
    assert None not in (await latent(words, "sail")).values()
    await vectors.index("a", documents(100))
    for search in (words, vectors):
        assert set((await latent(search, "sail")).values()) == {None}
    report = await words.index("a", documents(100))
    assert report.unchanged == 100
    assert None not in (await latent(words, "sail")).values()
    await words.close()
    await vectors.close()


async def test_what_one_may_not_read_changes_nothing_for_him(tmp_path: Path) -> None:
    search, other = EmbeddedSearch(tmp_path / "one"), EmbeddedSearch(tmp_path / "other")
    secret = Document("secret", "a", "", "sail sail rook merger", MARKDOWN, "1", audience=("ann",))
    await search.index("a", documents(100))
    await other.index("a", [*documents(100), secret])
    assert await latent(other, "sail") == await latent(search, "sail")
    assert (await latent(other, "sail", Reader("ann")))["secret"] is not None
    await search.close()
    await other.close()
