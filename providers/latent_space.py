"""A latent-semantic space of one knowledge base's own words: terms of the same chunks lie near one another, so a chunk can
lie near a question of which it has not a word.

The matrix of chunks by terms, with (1 + ln tf) · ln(N / df) of N chunks and rows of length 1, is cut to the first
dimensions of its singular value decomposition (Deerwester and others, Indexing by Latent Semantic Analysis, 1990), which
a randomised method finds (Halko, Martinsson and Tropp, Finding Structure with Randomness, 2011): some seconds for
10,000 chunks. What it is worth: docs/decisions/0053 and 0058.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # it is needed where a space is made, and takes as long to load as many searches
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

DIMENSIONS = 48
CHUNKS_EACH = 8
"""Chunks that there must be for each dimension, or the space tells no more than the words do."""
FEWEST_DIMENSIONS, MOST_CHUNKS = 8, 20_000
"""Smaller and larger knowledge bases have no space."""
MORE, ROUNDS = 10, 2
"""Dimensions beside those that are kept, and power iterations, in the search for them."""
AT_ONCE = 200_000
"""Members of the matrix that are multiplied at once."""


@dataclass(frozen=True, slots=True)
class ChunkTerms:
    """The terms of one chunk, title first. What is `restricted` to some readers has no part in how the space lies."""

    number: int
    terms: Sequence[str]
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Points as bytes, each DIMENSIONS or fewer 16-bit floats: of each term, times its rarity, and of each chunk, of
    length 1. A question's is the sum of its terms' points."""

    terms: Mapping[str, bytes]
    chunks: Mapping[int, bytes]


def space_of(read: Sequence[ChunkTerms], proceed: Callable[[], None] = lambda: None) -> Space | None:
    """None for a knowledge base too small or too large for one. `proceed` is called now and then, and may raise."""
    told = [chunk for chunk in read if chunk.terms and not chunk.restricted]
    dimensions = min(DIMENSIONS, len(told) // CHUNKS_EACH)
    if dimensions < FEWEST_DIMENSIONS or len(read) > MOST_CHUNKS:
        return None
    import numpy as np

    counted = [Counter(chunk.terms) for chunk in told]
    held = Counter(term for counts in counted for term in counts)
    places = {term: place for place, term in enumerate(held)}
    rarity = np.array([math.log(len(told) / often) for often in held.values()], dtype=np.float32)
    axes = _axes(_Rows.of(counted, places, rarity), len(places), dimensions, proceed)
    others = [chunk for chunk in read if chunk.terms and chunk.restricted]
    known = [Counter(term for term in chunk.terms if term in places) for chunk in others]
    points: dict[int, bytes] = {}
    for chunks, counts in ((told, counted), (others, known)):
        filled = [(chunk.number, its) for chunk, its in zip(chunks, counts, strict=True) if its]
        if filled:
            at = _Rows.of([its for _, its in filled], places, rarity).times(axes)
            at /= np.linalg.norm(at, axis=1, keepdims=True) + 1e-9
            points |= {number: row.tobytes() for (number, _), row in zip(filled, at.astype("<f2"), strict=True)}
    weighed = (axes * rarity[:, None]).astype("<f2")
    return Space({term: weighed[place].tobytes() for term, place in places.items()}, points)


def point(stored: bytes) -> "array[float]":
    """As it is reckoned with."""
    return array("f", unpack(f"<{len(stored) // 2}e", stored))


class Cosine(NamedTuple):
    """Of a question to a chunk. Reckoned when it is read: of what a router finds, most never is."""

    question: Sequence[float]
    length: float
    chunk: "array[float]"

    def __float__(self) -> float:
        return float(sum(map(mul, self.question, self.chunk)) / self.length)


def cosines(asked: Iterable["array[float]"], chunks: Mapping[int, "array[float]"]) -> dict[int, Cosine]:
    """Of the question whose terms have these points to each of the chunks, by number; none for a question of no known
    term."""
    question = list(map(sum, zip(*asked, strict=True)))
    length = math.sqrt(sum(map(mul, question, question)))
    return {number: Cosine(question, length, its) for number, its in chunks.items()} if length else {}


@dataclass(frozen=True, slots=True)
class _Rows:
    """A sparse matrix, none of whose rows is empty: row i has `weights[starts[i]:starts[i + 1]]` at `places`."""

    starts: "NDArray[np.int64]"
    places: "NDArray[np.int64]"
    weights: "Matrix"

    @classmethod
    def of(cls, counted: Sequence[Mapping[str, int]], places: Mapping[str, int], rarity: "Matrix") -> "_Rows":
        import numpy as np

        starts = np.cumsum([0, *(len(counts) for counts in counted)])
        at = np.fromiter((places[term] for counts in counted for term in counts), np.int64, starts[-1])
        often = np.fromiter((often for counts in counted for often in counts.values()), np.float32, starts[-1])
        weights = (1 + np.log(often)) * rarity[at]
        lengths = np.sqrt(np.add.reduceat(weights * weights, starts[:-1])) + 1e-9
        return cls(starts, at, (weights / np.repeat(lengths, np.diff(starts))).astype(np.float32))

    def times(self, dense: "Matrix") -> "Matrix":
        import numpy as np

        product = np.empty((len(self.starts) - 1, dense.shape[1]), dtype=np.float32)
        for first, last in self._blocks():
            begin, end = self.starts[first], self.starts[last]
            members = self.weights[begin:end, None] * dense[self.places[begin:end]]
            product[first:last] = np.add.reduceat(members, self.starts[first:last] - begin, axis=0)
        return product

    def transposed(self, columns: int) -> "_Rows":
        """None of its columns must be empty."""
        import numpy as np

        order = np.argsort(self.places, kind="stable")
        rows = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        starts = np.concatenate(([0], np.cumsum(np.bincount(self.places, minlength=columns))))
        return _Rows(starts, rows[order], self.weights[order])

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows with about AT_ONCE members each."""
        import numpy as np

        first, rows = 0, len(self.starts) - 1
        while first < rows:
            last = int(np.searchsorted(self.starts, self.starts[first] + AT_ONCE, side="right")) - 1
            yield first, (last := max(first + 1, min(last, rows)))
            first = last


def _axes(matrix: _Rows, columns: int, dimensions: int, proceed: Callable[[], None]) -> "Matrix":
    """The first right singular vectors, an array of shape (columns, dimensions)."""
    import numpy as np

    across = matrix.transposed(columns)
    random = np.random.default_rng(0).standard_normal((columns, dimensions + MORE), dtype=np.float32)
    basis = np.linalg.qr(matrix.times(random))[0]
    for _ in range(ROUNDS):
        proceed()
        basis = np.linalg.qr(matrix.times(np.linalg.qr(across.times(basis))[0]))[0]
    proceed()
    return np.ascontiguousarray(np.linalg.svd(across.times(basis), full_matrices=False)[0][:, :dimensions])
