"""What the embedded search finds is what the formulas say, to the last digit: written here as they stand in the docstrings
of providers/coverage.py and providers/latent_space.py, with nothing kept and nothing left out."""

import asyncio
import math
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from struct import unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.chunking import MARKDOWN, chunk
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Chunk, Document, Reader
from domain.terms import content_terms, terms
from providers.embedded_search import EmbeddedSearch
from providers.latent_space import CHUNKS_EACH, FEWEST_DIMENSIONS

WORDS = ["sail", "mast", "keel", "sailing", "rate_limited", "$1,490.00", "the", "of", "deck", "deck2", "café"]
NOWHERE = ["xylophone", "who", "TG-R0502"]
READERS = [ANYBODY, Reader("ann"), Reader("bob")]

Found = list[tuple[str, float, float | None]]
"""Chunks by their ids, with score and cosine."""


def document(name: str, title: str, body: str, audience: tuple[str, ...] = ()) -> Document:
    digest = sha256(f"{title} {body} {audience}".encode()).hexdigest()
    return Document(name, "a", title, body, MARKDOWN, digest, audience=audience)


def asked_for(question: str) -> list[str]:
    return list(dict.fromkeys(content_terms(question) or terms(question)))


def coverages(visible: Sequence[Chunk], asked: Sequence[str]) -> dict[str, float]:
    """By the chunks' ids; none for a chunk that has none of the terms."""
    titles = {it.id: Counter(terms(it.title)) for it in visible}
    texts = {it.id: Counter(terms(it.text)) for it in visible}
    often = {name: {term: 3.0 * titles[name][term] + texts[name][term] for term in asked} for name in titles}
    lengths = {name: 3.0 * titles[name].total() + texts[name].total() for name in titles}
    mean = sum(lengths.values()) / max(1, len(lengths)) or 1.0
    idf = []
    for term in asked:
        holding = sum(its[term] > 0 for its in often.values())
        idf.append(math.log(1 + (len(visible) - holding + 0.5) / (holding + 0.5)))
    scores: dict[str, float] = {}
    for name, its in often.items():
        score = 0.0
        for term, weight in zip(asked, idf, strict=True):
            f = its[term]
            score += weight / sum(idf) * (f / (f + 1.5 * (1 - 0.4 + 0.4 * lengths[name] / mean)))
        if any(its.values()):
            scores[name] = score
    return scores


class Stored:
    """What the index says of chunks and points, read beside the product."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as index:
            self.numbers: dict[str, int] = dict(index.execute("SELECT id, number FROM chunks"))
            self._terms: dict[str, bytes] = dict(index.execute("SELECT term, point FROM term_points"))
            self._chunks: dict[int, bytes] = dict(index.execute("SELECT number, point FROM chunk_points"))

    def cosine(self, asked: Sequence[str], name: str) -> float | None:
        points = [_floats(self._terms[term]) for term in asked if term in self._terms]
        there = _floats(self._chunks.get(self.numbers[name], b""))
        question = [sum(column) for column in zip(*points, strict=True)]
        length = math.sqrt(sum(its * its for its in question))
        if not length or not there:
            return None
        return float(sum(one * other for one, other in zip(question, there, strict=True)) / length)


def _floats(stored: bytes) -> tuple[float, ...]:
    return unpack(f"<{len(stored) // 2}e", stored)


def expected(documents: Sequence[Document], stored: Stored, question: str, limit: int, reader: Reader) -> Found:
    visible = [it for doc in documents if not doc.audience or reader.username in doc.audience for it in chunk(doc)]
    asked = asked_for(question)
    scores = coverages(visible, asked)
    best = sorted(scores, key=lambda name: (-scores[name], stored.numbers[name]))[:limit]
    return [(name, scores[name], stored.cosine(asked, name)) for name in best]


async def found(search: EmbeddedSearch, question: str, limit: int, reader: Reader) -> Found:
    passages = await search.search("a", question, limit, reader)
    return [(it.chunk.id, it.score, None if it.latent is None else float(it.latent)) for it in passages]


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)
knowledge = st.dictionaries(
    st.sampled_from([f"d{n}" for n in range(12)]),
    st.tuples(texts, texts, st.sampled_from([(), (), ("ann",), ("ann", "bob")])),
).map(lambda its: [document(name, *parts) for name, parts in its.items()])
questions = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS + NOWHERE), min_size=1, max_size=6).map(" ".join),
        st.integers(1, 14),
        st.sampled_from(READERS),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(st.lists(st.tuples(knowledge, questions), min_size=1, max_size=3))
def test_any_question_of_any_knowledge_base_finds_what_the_formula_says(
    tmp_path_factory: pytest.TempPathFactory, editions: list[tuple[list[Document], list[tuple[str, int, Reader]]]]
) -> None:
    folder = tmp_path_factory.mktemp("index")

    async def ask() -> None:
        search = EmbeddedSearch(folder)
        for documents, asked in editions:
            await search.index("a", documents)
            stored = Stored(folder / "a.sqlite3")
            for question, limit, reader in asked:
                assert await found(search, question, limit, reader) == expected(
                    documents, stored, question, limit, reader
                )
        await search.close()

    asyncio.run(ask())


async def test_so_does_one_that_is_large_enough_for_a_space(tmp_path: Path) -> None:
    dice = random.Random(0)
    words = [f"word{n}" for n in range(80)]

    def some(many: int) -> str:
        return " ".join(dice.choices(words, range(80, 0, -1), k=many))

    def audience() -> tuple[str, ...]:
        return dice.choice([(), (), (), ("ann",)])

    documents = [document(f"d{n}", some(2), some(12), audience()) for n in range(2 * CHUNKS_EACH * FEWEST_DIMENSIONS)]
    documents.append(document("secret", "secret", "merger word1", ("ann",)))
    search = EmbeddedSearch(tmp_path)
    await search.index("a", documents)
    stored, near = Stored(tmp_path / "a.sqlite3"), 0
    for _ in range(150):
        question = f"{some(dice.choice([0, 4]))} {dice.choice(['', 'merger', 'nowhere', 'nothing else'])}"
        limit, reader = dice.choice([1, 18, 500]), dice.choice(READERS)
        told = await found(search, question, limit, reader)
        assert told == expected(documents, stored, question, limit, reader)
        near += sum(cosine is not None for _, _, cosine in told)
    assert near > 500
    await search.close()


async def test_of_equals_the_first_ones_are_found(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [document(f"d{n}", "same", "sail") for n in range(30)])
    assert [name for name, _, _ in await found(search, "sail", 20, ANYBODY)] == [f"d{n}#0" for n in range(20)]
    await search.close()


async def test_any_string_can_be_counted(tmp_path: Path) -> None:
    search = EmbeddedSearch(tmp_path)
    await search.index("a", [document("one", "sail", 'a "quoted" mast')])
    odd = ['"', "", "sail mast", 'x" OR "sail', "sail*", "NEAR(sail)", *(f"nowhere{n}" for n in range(300))]
    assert (await search.term_statistics("a", odd, ANYBODY)).frequency == dict.fromkeys(odd, 0)
    assert (await search.term_statistics("a", [*odd, "sail"], ANYBODY)).frequency["sail"] == 1
    await search.close()


@pytest.mark.parametrize("made", ["CREATE TABLE other (x)", "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT)"])
async def test_a_database_of_something_else_has_to_be_indexed(tmp_path: Path, made: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite3")) as connection, connection:
        connection.execute(made)
    search = EmbeddedSearch(tmp_path)
    with pytest.raises(SearchUnavailable, match="indexed first"):
        await search.search("a", "sail", 5, ANYBODY)
    await search.index("a", [document("one", "one", "sail")])
    assert len(await found(search, "sail", 5, ANYBODY)) == 1
    await search.close()
