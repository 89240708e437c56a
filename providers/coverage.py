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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

from domain.knowledge import Chunk
from providers.index_file import IndexFile, View
from providers.latent_space import point
from providers.recent import Recent

K1, B = 1.5, 0.4
POSTINGS = 1_000_000
"""Kept, of all indexes together: a term in one chunk is one, and takes 16 bytes."""
TERM = 28
"""What a term takes by itself, in postings."""
CHUNKS = 4_000
"""Kept, of all indexes together, of 1 to 2 KB each."""
MEASURES = 1_000


@dataclass(frozen=True, slots=True)
class _Measure:
    """Of one view: its chunks, and their mean length in terms."""

    chunks: int
    mean: float


class Postings(NamedTuple):
    """The chunks that hold one term, by their numbers, for each the fraction behind idf(t) in the formula, and the term's
    point in the latent-semantic space, if it has one."""

    numbers: "array[int]"
    fractions: "array[float]"
    point: "array[float]"


class Placed(NamedTuple):
    """A chunk, and its point in the latent-semantic space, if it lies there."""

    chunk: Chunk
    point: "array[float]"


_NOWHERE = Postings(array("q"), array("d"), array("f"))


class Indexes:
    """Reads indexes, and keeps in memory what was asked for last. What is kept of one edition is never taken for
    another's; what one reader was told is never told to one who may read something else. For threads."""

    def __init__(self) -> None:
        self._measures: Recent[View, _Measure] = Recent(MEASURES)
        self._postings: Recent[tuple[View, str], Postings] = Recent(POSTINGS)
        self._chunks: Recent[tuple[str, int], Placed] = Recent(CHUNKS)

    def postings(self, index: IndexFile, view: View, asked: Sequence[str]) -> dict[str, Postings]:
        """Of each of the (different) terms, in the order of asking."""
        held = dict(zip(asked, self._postings.get_all([(view, term) for term in asked]), strict=True))
        missing = [term for term, its in held.items() if its is None]
        read = self._read(index, view, missing) if missing else {}
        return {term: its or read[term] for term, its in held.items()}

    def coverage(self, index: IndexFile, view: View, held: Mapping[str, Postings]) -> dict[int, float]:
        """The coverage of every chunk in view that has one of the terms, by its number."""
        total = self._measure(index, view).chunks
        weights = [math.log(1 + (total - (n := len(its.numbers)) + 0.5) / (n + 0.5)) for its in held.values()]
        most = sum(weights)
        scores: dict[int, float] = {}
        before = scores.get  # a defaultdict takes half as long again
        for weight, its in zip(weights, held.values(), strict=True):
            share = weight / most
            for number, fraction in zip(its.numbers, its.fractions, strict=True):
                scores[number] = before(number, 0.0) + share * fraction
        return scores

    def frequencies(self, index: IndexFile, view: View, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        """How many chunks are in view, and in how many of them each of the terms stands."""
        held = self.postings(index, view, asked)
        return self._measure(index, view).chunks, {term: len(its.numbers) for term, its in held.items()}

    def chunks(self, index: IndexFile, view: View, numbers: Sequence[int]) -> dict[int, Placed]:
        """Of numbers that are in view."""
        kept = dict(zip(numbers, self._chunks.get_all([(view.edition, number) for number in numbers]), strict=True))
        missing = [number for number, its in kept.items() if its is None]
        read = {n: Placed(its, point(stored)) for n, (its, stored) in index.chunks(missing).items()} if missing else {}
        for number, its in read.items():
            self._chunks.keep((view.edition, number), its)
        return {number: its or read[number] for number, its in kept.items()}

    def clear(self) -> None:
        for kept in (self._measures, self._postings, self._chunks):
            kept.clear()

    def _measure(self, index: IndexFile, view: View) -> _Measure:
        found = self._measures.get(view)
        if found is None:
            found = _Measure(*index.measure(view.allowed))
            self._measures.keep(view, found)
        return found

    def _read(self, index: IndexFile, view: View, asked: Sequence[str]) -> dict[str, Postings]:
        """The space is laid by what everybody may read: a term that stands nowhere in view has no point."""
        mean = self._measure(index, view).mean
        found: dict[str, tuple[array[int], array[float]]] = {}
        for number, term, often, length in index.matches(asked, view.allowed):
            numbers, fractions = found.setdefault(term, (array("q"), array("d")))
            numbers.append(number)
            fractions.append(often / (often + K1 * (1 - B + B * length / mean)))
        points = index.term_points(list(found)) if found else {}
        read = {term: Postings(*its, point(points.get(term, b""))) for term, its in found.items()}
        for term in asked:
            its = read.setdefault(term, _NOWHERE)
            self._postings.keep((view, term), its, TERM + len(its.numbers))
        return read


def highest(scores: Mapping[int, float], limit: int) -> list[int]:
    """The numbers of the highest scores, the highest first; of equals the lowest number."""
    bar = min(nlargest(limit, scores.values()), default=0.0)
    best = sorted((-score, number) for number, score in scores.items() if score >= bar)
    return [number for _, number in best[:limit]]
