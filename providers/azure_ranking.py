"""What Azure AI Search is asked for a question: by its words, by its vector, or by both."""

import re
from dataclasses import dataclass
from typing import Any

from azure.search.documents.models import VectorizedQuery

from providers.azure_index import OURS, WORDS, vector_field
from providers.embedding_models import EmbeddingModel, Vector

NEAREST = 50
"""Neighbours that a vector query looks for. They are merged with what the words find, and the semantic ranker reads as many."""
RANKER_PATIENCE = 2_000
"""Milliseconds that the service waits for its semantic ranker before it answers without."""

_OPERATORS = re.compile(r"""([-+|"()'\\*~])""")
_MAX_WORDS = 200
_MAX_WORD = 200


@dataclass(frozen=True, slots=True)
class Ranking:
    """How passages are found and ordered: by the words that they share with the question (BM25), by the nearness of
    vectors that `model` makes, or by both, whose ranks the service then merges. With `semantic` the service's own ranker
    reads the best of them again. Raises ValueError for neither, and for a semantic ranking without words, which it reads."""

    words: bool = True
    model: EmbeddingModel | None = None
    semantic: bool = False

    def __post_init__(self) -> None:
        if not self.words and (self.model is None or self.semantic):
            raise ValueError("passages are found by words, by vectors or by both, and ranked semantically by words")

    def query(self, question: str, vector: Vector | None, limit: int) -> dict[str, Any]:
        """Keyword arguments of a search for the best `limit` passages; `vector` is the question's, where `model` is."""
        asked: dict[str, Any] = {}
        if self.semantic:
            asked |= {
                "search_text": plain_query(question),
                "query_type": "semantic",
                "semantic_configuration_name": OURS,
                "semantic_error_mode": "partial",
                "semantic_max_wait_in_milliseconds": RANKER_PATIENCE,
            }
        elif self.words:
            asked |= {"search_text": simple_query(question), "query_type": "simple"}
        if self.words:
            asked |= {"search_mode": "any", "search_fields": WORDS}
        if vector is not None:
            near, field = max(limit, NEAREST), vector_field(len(vector))
            asked["vector_filter_mode"] = "preFilter"  # or the nearest of all are found first, and then left out
            asked["vector_queries"] = [VectorizedQuery(vector=vector, k_nearest_neighbors=near, fields=field)]
        return asked


def simple_query(question: str) -> str:
    """The question in the service's simple query syntax with every operator escaped, so that it is only words.
    Empty when there is nothing in it to search for. The service limits a query's clauses, so the end of a very long
    question is left out."""
    return _OPERATORS.sub(r"\\\1", said(question))


def plain_query(question: str) -> str:
    """The same for the semantic ranker, which reads it as a person would: without operators."""
    return " ".join(_OPERATORS.sub(" ", said(question)).split())


def said(question: str) -> str:
    """The words of a question that can be looked for, "" when there are none."""
    sayable = question.encode("utf-8", "ignore").decode()
    words = [word[:_MAX_WORD] for word in sayable.split() if any(map(str.isalnum, word))]
    return " ".join(words[:_MAX_WORDS])
