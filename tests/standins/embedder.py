"""A small embedder for tests: words that share letters have similar vectors, so it finds what no term matches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 256


class LetterEmbedder:
    """Counts a text's runs of three letters, hashed. `read` keeps every text that was embedded, in order."""

    def __init__(self, name: str = "letters") -> None:
        self.name = name
        self.read: list[str] = []

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        self.read.extend(texts)
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            padded = f" {text.casefold()} "
            for start in range(len(padded) - 2):
                row[
                    sum(ord(letter) * 31**place for place, letter in enumerate(padded[start : start + 3])) % DIMENSIONS
                ] += 1
            row /= np.linalg.norm(row) or 1
        return vectors


class Letters:
    """The same as a model that is asked from an event loop; it fails with `fault` when there is one."""

    def __init__(self, name: str = "letters") -> None:
        self.embedder = LetterEmbedder(name)
        self.name = name
        self.fault: Exception | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.fault is not None:
            raise self.fault
        return [[float(value) for value in vector] for vector in self.embedder.embed(list(texts))]

    async def close(self) -> None:
        """Nothing is held open."""
