"""How well the embedded search finds the passages of the MT-RAG tasks, the right knowledge base being known.

    python -m bench.retrieval --data ../shared/data/mtrag [--field rewrite_llm]

Prints nDCG@10 and Recall@5 of passages for each domain, by keywords only and, when the extra is installed, with
embeddings. A task without a relevant passage is left out.
"""

import argparse
import asyncio
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from domain.chunking import PLAIN_TEXT
from domain.knowledge import ANYBODY, Document
from providers.embedded_search import EmbeddedSearch
from providers.embeddings import installed_embedder

CHUNKS = 30
"""Looked at for each question: a passage may be found by several of its chunks."""


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def documents(corpus: Sequence[dict[str, Any]]) -> dict[str, list[Document]]:
    """One document for each passage, by domain."""
    found: dict[str, list[Document]] = defaultdict(list)
    for passage in corpus:
        domain, title = passage["domain"], passage["title"]
        body = passage["text"].removeprefix(title)
        found[domain].append(Document(passage["id"], domain, title, body, PLAIN_TEXT, digest=passage["id"]))
    return dict(found)


def ndcg(ranked: Sequence[str], relevant: set[str], depth: int = 10) -> float:
    gained = sum(1 / math.log2(place + 2) for place, name in enumerate(ranked[:depth]) if name in relevant)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(depth, len(relevant))))


def recall(ranked: Sequence[str], relevant: set[str], depth: int = 5) -> float:
    return len(relevant.intersection(ranked[:depth])) / len(relevant)


async def measure(search: EmbeddedSearch, data: Path, field: str) -> None:
    corpus = documents(read(data / "corpus.jsonl"))
    for domain, found in corpus.items():
        await search.index(domain, found)
    results: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for task in read(data / "tasks.jsonl"):
        if relevant := set(task["qrels"]):
            passages = await search.search(task["domain"], task[field] or task["query"], CHUNKS, ANYBODY)
            ranked = list(dict.fromkeys(passage.chunk.document_id for passage in passages))
            results[task["domain"]].append((ndcg(ranked, relevant), recall(ranked, relevant)))
    print(f"\n{search.name}, {field}\n{'domain':<10} {'tasks':>5} {'nDCG@10':>8} {'Recall@5':>9}")
    for name, figures in [*sorted(results.items()), ("all", [one for of in results.values() for one in of])]:
        gains, recalls = zip(*figures, strict=True)
        print(f"{name:<10} {len(figures):>5} {fmean(gains):>8.3f} {fmean(recalls):>9.3f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mtrag"), help="the folder of the task files")
    parser.add_argument("--field", default="query", choices=["query", "rewrite_llm"], help="what is asked")
    parser.add_argument("--index", type=Path, help="keep the index in this folder; a temporary one otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.index or Path(temporary)
        await measure(EmbeddedSearch(folder), options.data, options.field)
        if embedder := installed_embedder():
            await measure(EmbeddedSearch(folder, embedder), options.data, options.field)


if __name__ == "__main__":
    asyncio.run(main())
