"""What a latent-semantic index of each agent's own documents would add to the search, as one more voice.

    python -m bench.latent ../shared/data/mtrag [--embeddings]

Of each knowledge base: terms by documents, (1 + ln tf) · ln(N / df), columns of length 1, cut to the first dimensions of
its singular value decomposition (Deerwester and others, 1990). A document's score is its best passage's, as the search
gives it, plus WEIGHT · the cosine to the question in that space. Figures are nDCG@10 over MT-RAG's tasks (evaluation's
own formula), the last turn as it was written, in the right knowledge base. Dimensions and weight are chosen in four
fifths of the conversations and measured in the fifth. Takes a minute; with embeddings some minutes.
"""

import argparse
import asyncio
import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.knowledge import ANYBODY, Document
from domain.terms import content_terms
from evaluation.ranking import ndcg
from providers.embedded_search import EmbeddedSearch
from providers.embeddings import installed_embedder

DIMENSIONS = (16, 32, 48, 64, 96, 128)
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5)
FOLDS = 5
NOTHING_SAID = -1.0
"""Of a document that the search did not find, where it looks at all of them."""

Vector = NDArray[np.float32]


class Latent:
    """One knowledge base's space."""

    def __init__(self, documents: Sequence[Document]) -> None:
        read = [content_terms(f"{document.title} {document.body}") for document in documents]
        self._places = {term: place for place, term in enumerate(dict.fromkeys(t for told in read for t in told))}
        matrix = np.zeros((len(read), len(self._places)), dtype=np.float32)
        for row, told in zip(matrix, read, strict=True):
            self._weigh(row, told)
        self._rarity = np.log(len(read) / (matrix > 0).sum(axis=0))
        matrix *= self._rarity
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-9
        left, strengths, self._right = np.linalg.svd(matrix, full_matrices=False)
        self._documents = left * strengths

    def cosines(self, question: str, dimensions: int) -> Vector:
        """To each document."""
        asked = np.zeros(len(self._places), dtype=np.float32)
        self._weigh(asked, content_terms(question))
        point = self._right[:dimensions] @ (asked * self._rarity)
        there = self._documents[:, :dimensions]
        lengths = np.linalg.norm(there, axis=1) * np.linalg.norm(point) + 1e-9
        return np.asarray(there @ point / lengths, dtype=np.float32)

    def _weigh(self, row: Vector, told: Sequence[str]) -> None:
        for term, times in Counter(told).items():
            if term in self._places:
                row[self._places[term]] = 1 + math.log(times)


async def outcomes(
    data: Path, search: EmbeddedSearch, unknown: float
) -> tuple[list[str], dict[tuple[int, float], list[float]]]:
    """The conversation of each task, and for each choice of dimensions and weight the nDCG of each task."""
    documents: defaultdict[str, list[Document]] = defaultdict(list)
    for row in _rows(data / "corpus.jsonl"):
        of = row["domain"]
        documents[of].append(Document(row["id"], of, row["title"] or "", row["text"], "text/markdown", row["id"]))
    for agent, its in documents.items():
        await search.index(agent, its)
    spaces = {agent: Latent(its) for agent, its in documents.items()}
    conversations: list[str] = []
    found: defaultdict[tuple[int, float], list[float]] = defaultdict(list)
    for task in _rows(data / "tasks.jsonl"):
        if not task["qrels"]:
            continue
        agent, question = task["domain"], task["query"]
        scores = dict.fromkeys((document.id for document in documents[agent]), unknown)
        for passage in await search.search(agent, question, 10 * len(scores), ANYBODY):
            scores[passage.chunk.document_id] = max(scores[passage.chunk.document_id], passage.score)
        known = np.array(list(scores.values()))
        conversations.append(str(task["conversation"]))
        for dimensions in DIMENSIONS:
            near = spaces[agent].cosines(question, dimensions)
            for weight in WEIGHTS:
                order = np.argsort(-(known + weight * near), kind="stable")[:10]
                ranked = [list(scores)[place] for place in order]
                found[dimensions, weight].append(ndcg(ranked, set(task["qrels"])))
    return conversations, found


def validated(conversations: Sequence[str], found: dict[tuple[int, float], list[float]]) -> list[float]:
    """What each task gains by the choice that was made without its conversation."""
    folds = {name: number % FOLDS for number, name in enumerate(sorted(set(conversations)))}
    gains = [0.0] * len(conversations)
    for fold in range(FOLDS):
        inside = [place for place, name in enumerate(conversations) if folds[name] == fold]
        others = [place for place, name in enumerate(conversations) if folds[name] != fold]
        best = max(found, key=lambda choice: mean(found[choice][place] for place in others))
        print(f"fold {fold}: {best[0]} dimensions, weight {best[1]}")
        for place in inside:
            gains[place] = found[best][place] - found[DIMENSIONS[0], 0.0][place]
    return gains


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of MT-RAG's files")
    parser.add_argument("--embeddings", action="store_true")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="answerdesk-latent-") as folder:
        search = EmbeddedSearch(Path(folder), installed_embedder() if options.embeddings else None)
        conversations, found = await outcomes(options.data, search, NOTHING_SAID if options.embeddings else 0.0)
    print("dimensions  " + "  ".join(f"{weight:>5}" for weight in WEIGHTS))
    for dimensions in DIMENSIONS:
        print(f"{dimensions:>10}  " + "  ".join(f"{mean(found[dimensions, weight]):.3f}" for weight in WEIGHTS))
    gains = validated(conversations, found)
    print(f"gain {mean(gains):.3f} ± {stdev(gains) / math.sqrt(len(gains)):.3f} (standard error, {len(gains)} tasks)")


if __name__ == "__main__":
    asyncio.run(main())
