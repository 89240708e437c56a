"""How much of a question each chunk covers: BM25 divided by the most that any passage could get,

    coverage = Σ idf(t) · f / (f + K1 · (1 - B + B · length / mean length))  /  Σ idf(t),   t over the question's terms
    idf(t)   = ln(1 + (N - n + 0.5) / (n + 0.5)),   of the N chunks, n have the term

(Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; the idf is the variant that is never negative).
A term that the knowledge base does not know has the greatest idf and nothing above the line. So a score lies in [0, 1),
means the same in a large and in a small knowledge base, and is low where the question's words are foreign; plain BM25
sums are none of that.

N, n and lengths are those of the chunks that the reader may read, so that nothing follows from a score about others.

Questions share most of their words, so what the index says of a term is kept in memory, as are the chunks.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from domain.knowledge import Chunk, Reader
from providers.index_file import Allowed, IndexFile
from providers.latent_space import cosines, point
from providers.recent import Recent

N = TypeVar("N", bound=Hashable)
T = TypeVar("T")

K1, B = 1.5, 0.4
POSTINGS = 1_000_000
"""Kept, of all indexes together: a term in one chunk is one, and takes 16 bytes."""
TERM = 16
"""What a term takes by itself, in postings."""
CHUNKS = 4_000
"""Kept, of all indexes together, of 1 to 2 KB each."""
MEASURES = VIEWS = 1_000
POINTS = 4_000
"""Of terms, and of chunks, kept of all indexes together, of 300 bytes each. What has none is kept as an empty one."""


class View(NamedTuple):
    """One edition of an index as some readers see it, who may read the same."""

    edition: str | None
    allowed: Allowed


@lru_cache(maxsize=VIEWS)
def _view(edition: str | None, allowed: Allowed) -> View:
    """One for all who keep something by it."""
    return View(edition, allowed)


@dataclass(frozen=True, slots=True)
class _Measure:
    """Of one view: its chunks, and their mean length in terms."""

    chunks: int
    mean: float


@dataclass(frozen=True, slots=True)
class _Postings:
    """The chunks that hold one term, by their numbers, and for each the fraction behind idf(t) in the formula."""

    numbers: "array[int]"
    fractions: "array[float]"


_NOWHERE = _Postings(array("q"), array("d"))


class Indexes:
    """Reads indexes, and keeps in memory what was asked for last. An edition's name is its own, so what is kept of one
    is never taken for another's; what one reader was told is never told to one who may read something else. For threads."""

    def __init__(self) -> None:
        self._measures: Recent[View, _Measure] = Recent(MEASURES)
        self._postings: Recent[tuple[View, str], _Postings] = Recent(POSTINGS)
        self._chunks: Recent[tuple[str | None, int], Chunk] = Recent(CHUNKS)
        self._term_points: Recent[tuple[str | None, str], array[float]] = Recent(POINTS)
        self._chunk_points: Recent[tuple[str | None, int], array[float]] = Recent(POINTS)

    def view(self, index: IndexFile, reader: Reader) -> View:
        return _view(index.edition, index.allowed(reader.username))

    def coverage(self, index: IndexFile, view: View, asked: Sequence[str]) -> dict[int, float]:
        """The coverage of every chunk in view that has one of the (different) terms, by its number."""
        total = self._measure(index, view).chunks
        held = self._held(index, view, asked)
        weight = {term: math.log(1 + (total - (n := len(of.numbers)) + 0.5) / (n + 0.5)) for term, of in held.items()}
        most = sum(weight.values())
        scores: defaultdict[int, float] = defaultdict(float)
        for term, of in held.items():
            share = weight[term] / most
            for number, fraction in zip(of.numbers, of.fractions, strict=True):
                scores[number] += share * fraction
        return scores

    def frequencies(self, index: IndexFile, view: View, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        """How many chunks are in view, and in how many of them each of the terms stands."""
        held = self._held(index, view, asked)
        return self._measure(index, view).chunks, {term: len(of.numbers) for term, of in held.items()}

    def chunks(self, index: IndexFile, view: View, numbers: Sequence[int]) -> dict[int, Chunk]:
        """Of numbers that are in view."""
        return _completed(self._chunks, view.edition, numbers, index.chunks)

    def cosines(self, index: IndexFile, view: View, asked: Sequence[str], numbers: Sequence[int]) -> dict[int, float]:
        """Of these terms to chunks in view, in the latent-semantic space: of those that lie in it."""
        terms = _completed(self._term_points, view.edition, asked, lambda new: _points(new, index.term_points(new)))
        chunks = _completed(
            self._chunk_points, view.edition, numbers, lambda new: _points(new, index.chunk_points(new))
        )
        return cosines([its for its in terms.values() if its], {n: its for n, its in chunks.items() if its})

    def clear(self) -> None:
        for kept in (self._measures, self._postings, self._chunks, self._term_points, self._chunk_points):
            kept.clear()

    def _measure(self, index: IndexFile, view: View) -> _Measure:
        found = self._measures.get(view)
        if found is None:
            found = _Measure(*index.measure(view.allowed))
            self._measures.keep(view, found)
        return found

    def _held(self, index: IndexFile, view: View, asked: Sequence[str]) -> dict[str, _Postings]:
        """Each term's, in the order of asking."""
        held = self._postings.get_all([(view, term) for term in asked])
        missing = [term for term in asked if (view, term) not in held]
        read: dict[str, _Postings] = {}
        if missing:
            mean = self._measure(index, view).mean
            for number, term, often, length in index.matches(missing, view.allowed):
                if term not in read:
                    read[term] = _Postings(array("q"), array("d"))
                read[term].numbers.append(number)
                read[term].fractions.append(often / (often + K1 * (1 - B + B * length / mean)))
            for term in missing:
                its = read.setdefault(term, _NOWHERE)
                self._postings.keep((view, term), its, TERM + len(its.numbers))
        return {term: held.get((view, term)) or read[term] for term in asked}


def _completed(
    kept: Recent[tuple[str | None, N], T],
    edition: str | None,
    asked: Sequence[N],
    read: Callable[[Sequence[N]], Mapping[N, T]],
) -> dict[N, T]:
    """What an index of this edition says of each, in the order of asking: as it is kept, or else as it is read."""
    known = {name: its for (_, name), its in kept.get_all([(edition, name) for name in asked]).items()}
    missing = [name for name in asked if name not in known]
    if not missing:
        return known
    read_now = read(missing)
    for name, its in read_now.items():
        kept.keep((edition, name), its)
    return {name: known[name] if name in known else read_now[name] for name in asked}


def _points(asked: Sequence[N], stored: Mapping[N, bytes]) -> dict[N, "array[float]"]:
    """What has none is kept as an empty one."""
    return {name: point(stored.get(name, b"")) for name in asked}
