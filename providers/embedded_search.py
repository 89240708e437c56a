"""The search engine of the embedded default: one SQLite index per agent, in this process.

A passage's score is its coverage of the question (providers/coverage.py), in [0, 1). With an embedder it is
w · coverage + (1 - w) · cosine, in (-1, 1); w is WORDS, or CODES for a question with a code in it, such as TG-R0502 or
rate_limited, since embeddings cannot tell one code from another.
"""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from domain.chunking import chunk
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.terms import content_terms, terms
from providers.coverage import Indexes, highest
from providers.index_file import IndexFile, View
from providers.index_readers import IndexReaders, NotIndexedError
from providers.latent_space import cosines, space_of
from providers.reads import Reads
from providers.recent import Recent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORDS, CODES = 0.3, 0.6
"""The weight of coverage beside the cosine. MT-RAG's retrieval is flat with WORDS between 0.2 and 0.4."""
MAX_TERMS = 200
"""How many different terms of a question are looked up."""
BRIEF = 16
"""Terms of a question that may be looked up in the event loop."""
QUESTIONS = 256
"""How many questions' terms and vectors are remembered."""
PATHS = 256
"""Of agents' indexes, remembered."""
TEXTS, SETS = 20_000, 16
"""How many texts' vectors are remembered, to which questions are compared, and how many sets of such texts."""

_CODE = re.compile(r"(?!\d+(?:st|nd|rd|th|s)$)(?=.*[^\W\d_])(?=.*[\d_]).+")
"""A term of letters together with digits or underscores, ordinals aside."""


class Embeds(Protocol):
    """Turns texts into unit vectors, an array of shape (texts, dimensions). Called from threads."""

    @property
    def name(self) -> str: ...

    def embed(self, texts: list[str]) -> "NDArray[np.float32]": ...


@dataclass(frozen=True, slots=True)
class _Vectors:
    """One edition of an index's vectors, kept in memory: row i is that of chunk numbers[i]."""

    edition: str
    numbers: list[int]
    matrix: "NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class _Opened:
    """One agent's index, open for reading, and what of it a reader may see."""

    agent: str
    index: IndexFile
    view: View


class _Stopped(Exception):
    """Nobody waits for this indexing any more."""


class EmbeddedSearch:
    """A Retriever over the files of one folder. Its work is done in worker threads, but for brief searches
    (providers/reads.py)."""

    def __init__(self, folder: Path, embedder: Embeds | None = None) -> None:
        self._folder = folder
        self._embedder = embedder
        self._readers = IndexReaders()
        self._indexes = Indexes()
        self._vectors: dict[str, _Vectors] = {}
        self._asking = Lock()
        self._asked = lru_cache(maxsize=QUESTIONS)(lambda question: embedder.embed([question])[0] if embedder else None)
        self._texts: Recent[str, NDArray[np.float32]] = Recent(TEXTS)
        self._sets = lru_cache(maxsize=SETS)(self._matrix)
        self._reads = Reads(self._opened)

    @property
    def name(self) -> str:
        return f"SQLite FTS5 + {self._embedder.name}" if self._embedder else "SQLite FTS5"

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        """See the port. When it is cancelled, the index stays as it was."""
        loop, stop = asyncio.get_running_loop(), Event()

        def proceed() -> None:
            if stop.is_set():
                raise _Stopped

        def report(done: int) -> None:
            proceed()
            if progress:
                loop.call_soon_threadsafe(progress, done)

        try:
            return await asyncio.to_thread(self._index, agent, documents, proceed, report)
        finally:
            stop.set()

    def search(self, agent: str, question: str, limit: int, reader: Reader) -> Awaitable[list[Passage]]:
        asked = _terms_of(question)
        if not asked or limit < 1:
            return _nothing()
        return self._reads.run(
            (agent, reader), lambda it: self._search(it, question, asked, limit), brief=self._is_brief(asked)
        )

    def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> Awaitable[TermStatistics]:
        return self._reads.run(
            (agent, reader),
            lambda it: TermStatistics(*self._indexes.frequencies(it.index, it.view, terms)),
            brief=self._is_brief(terms),
        )

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        return await self._reads.run((agent, reader), lambda it: it.index.chunks_of(document_id, it.view.allowed))

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        if self._embedder is None or not texts:
            return None if self._embedder is None else []
        return await asyncio.to_thread(self._likeness, question, tuple(texts))

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    async def close(self) -> None:
        self._vectors.clear()
        self._indexes.clear()
        self._readers.close()

    def _is_brief(self, terms: Sequence[str]) -> bool:
        """Whether looking these up may be quick: each that is new takes a look at the index, and a vector much more."""
        return self._embedder is None and len(terms) <= BRIEF

    def _path(self, agent: str) -> Path:
        return _path_of(self._folder, agent)

    # ------------------------------------------------------------ indexing

    def _index(
        self, agent: str, documents: Sequence[Document], proceed: Callable[[], None], report: Callable[[int], None]
    ) -> IndexReport:
        with _available(agent), IndexFile.writing(self._path(agent), proceed) as index:
            known, wanted = index.digests(), {document.id: document for document in documents}
            self._accept_vectors(index)
            removed = known.keys() - wanted.keys()
            for document_id in removed:
                index.remove_document(document_id)
            fresh = {name for name, document in wanted.items() if known.get(name) != document.digest}
            for done, document in enumerate(wanted.values(), 1):
                if document.id in fresh:
                    index.remove_document(document.id)
                    index.add_document(document, _with_terms(chunk(document)))
                self._embed(index, document.id)
                report(done)
            self._lay_out(index, proceed)
            return IndexReport(
                agent=agent,
                added=len(fresh - known.keys()),
                changed=len(fresh & known.keys()),
                removed=len(removed),
                unchanged=len(wanted) - len(fresh),
                chunks=index.size(),
            )

    def _accept_vectors(self, index: IndexFile) -> None:
        """Drops vectors that another embedder made."""
        if self._embedder and index.fact("embedder") != self._embedder.name:
            index.drop_vectors()
            index.set_fact("embedder", self._embedder.name)

    def _embed(self, index: IndexFile, document_id: str) -> None:
        """Adds the vectors that a document's chunks lack."""
        if not self._embedder or not (chunks := index.without_vector(document_id)):
            return
        vectors = self._embedder.embed([f"{found.title}\n{found.text}".strip() for found in chunks.values()])
        index.add_vectors({number: row.astype("<f2").tobytes() for number, row in zip(chunks, vectors, strict=True)})

    def _lay_out(self, index: IndexFile, proceed: Callable[[], None]) -> None:
        """Makes the space of what the index now holds, unless passages have vectors of their own."""
        if self._embedder:
            index.drop_space()
        elif not index.has_space:
            index.set_space(space_of(list(index.read_terms()), proceed))

    # ------------------------------------------------------------ searching

    @contextmanager
    def _opened(self, place: tuple[str, Reader]) -> Iterator[_Opened]:
        agent, reader = place
        with _available(agent), self._readers.reading(self._path(agent), reader) as (index, view):
            yield _Opened(agent, index, view)

    def _search(self, opened: _Opened, question: str, asked: Sequence[str], limit: int) -> list[Passage]:
        index, view = opened.index, opened.view
        vector = self._vector(question)
        likeness: dict[int, float] = {}
        held = self._indexes.postings(index, view, asked)
        scores = self._indexes.coverage(index, view, held)
        if vector is not None and (vectors := self._vectors_of(opened)):
            weight = CODES if any(_CODE.fullmatch(term) for term in asked) else WORDS
            likeness = dict(zip(vectors.numbers, (vectors.matrix @ vector).tolist(), strict=True))
            scores = _mixed(scores, likeness, index.hidden(view.allowed), weight)
        best = self._indexes.chunks(index, view, highest(scores, limit))
        points = [] if likeness else [its.point for its in held.values() if its.point]
        latent = cosines(points, {n: its.point for n, its in best.items() if its.point})
        return [Passage(its.chunk, scores[n], likeness.get(n), latent.get(n)) for n, its in best.items()]

    def _vector(self, question: str) -> "NDArray[np.float32] | None":
        """A router asks every agent at once: the first embeds the question, the others wait for it."""
        with self._asking:
            return self._asked(question)

    def _likeness(self, question: str, texts: tuple[str, ...]) -> list[float] | None:
        vector = self._vector(question)
        if vector is None:
            return None
        with self._asking:
            others = self._sets(texts)
        cosines: list[float] = (others @ vector).tolist()
        return cosines

    def _matrix(self, texts: tuple[str, ...]) -> "NDArray[np.float32]":
        """Each text's vector is a row. Different viewers' agents have much the same examples."""
        import numpy as np

        known = {text: vector for text in texts if (vector := self._texts.get(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing and self._embedder:
            for text, vector in zip(missing, self._embedder.embed(missing), strict=True):
                known[text] = vector
                self._texts.keep(text, vector)
        return np.stack([known[text] for text in texts])

    def _vectors_of(self, opened: _Opened) -> _Vectors | None:
        """The index's vectors, or None unless this embedder has made one for every chunk."""
        import numpy as np

        index, edition = opened.index, opened.view.edition
        kept = self._vectors.get(opened.agent)
        if kept is None or kept.edition != edition:
            if self._embedder is None or index.fact("embedder") != self._embedder.name:
                return None
            rows = index.vectors()
            if not rows or len(rows) != index.size():
                return None
            matrix = np.frombuffer(b"".join(row for _, row in rows), "<f2").astype(np.float32).reshape(len(rows), -1)
            kept = self._vectors[opened.agent] = _Vectors(edition, [number for number, _ in rows], matrix)
        return kept

    def _check(self) -> None:
        paths = sorted(self._folder.glob("*.sqlite3"))
        if not paths:
            raise SearchUnavailable("No knowledge base is indexed yet.")
        for path in paths:
            with _available(path.stem), self._readers.reading(path, ANYBODY) as (index, _):
                index.frequencies(["ready"])


async def _nothing() -> list[Passage]:
    return []


@lru_cache(maxsize=PATHS)
def _path_of(folder: Path, agent: str) -> Path:
    """To take a path apart costs as much as to read a fact from the file."""
    return folder / f"{quote(agent, safe='')}.sqlite3"


@lru_cache(maxsize=QUESTIONS)
def _terms_of(question: str) -> tuple[str, ...]:
    """The different terms to look up: those that say what it is about, if any do."""
    return tuple(dict.fromkeys(content_terms(question) or terms(question)))[:MAX_TERMS]


@contextmanager
def _available(agent: str) -> Iterator[None]:
    try:
        yield
    except NotIndexedError as error:
        raise SearchUnavailable(f"The knowledge base {agent} has to be indexed first.") from error
    except (sqlite3.Error, OSError) as error:
        raise SearchUnavailable(f"The index of the knowledge base {agent} cannot be used: {error}.") from error


def _with_terms(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, list[str], list[str]]]:
    for found in chunks:
        yield found, terms(found.title), terms(found.text)


def _mixed(
    coverage: dict[int, float], cosines: Mapping[int, float], hidden: frozenset[int], weight: float
) -> dict[int, float]:
    """Both scores in one, for every chunk that is not hidden."""
    return {
        number: weight * coverage.get(number, 0.0) + (1 - weight) * cosine
        for number, cosine in cosines.items()
        if number not in hidden
    }
