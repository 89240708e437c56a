"""Retrieval: whether what is relevant is found, in the right knowledge base and through the router."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from domain.agents.state import Evidence
from domain.knowledge import Chunk
from evaluation.cases import Case, Place
from evaluation.figures import Area, Figure, Outcome, mean
from evaluation.ranking import ndcg, recall, reciprocal_rank
from evaluation.turns import CaseTurns


@dataclass(frozen=True, slots=True)
class Found:
    """How well one search found what is relevant."""

    ndcg_10: float
    recall_5: float
    mrr_10: float

    @classmethod
    def of(cls, evidence: Sequence[Evidence], relevant: Sequence[Place]) -> "Found":
        ranked = ranking(evidence, relevant)
        return cls(ndcg(ranked, relevant), recall(ranked, relevant), reciprocal_rank(ranked, relevant))


def ranking(evidence: Sequence[Evidence], relevant: Sequence[Place]) -> list[Place]:
    """The documents of what was retrieved, each at its best passage, or sections of those of which a section is
    relevant. Passages of several needs take turns."""
    turns = zip_longest(*(one.passages for one in evidence))
    found = (passage.chunk for turn in turns for passage in turn if passage is not None)
    return list(dict.fromkeys(_place(chunk, relevant) for chunk in found))


def _place(chunk: Chunk, relevant: Sequence[Place]) -> Place:
    sections = [it for it in relevant if it.heading and (it.agent, it.document) == (chunk.agent, chunk.document_id)]
    if not sections:
        return Place(chunk.agent, chunk.document_id)
    other = Place(chunk.agent, chunk.document_id, " › ".join(chunk.title_path[1:]) or "–")
    return next((it for it in sections if it.is_in(chunk)), other)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalOutcome(Outcome):
    """`at_home`: in the knowledge base that holds it, None where it is in several; `routed`: through the router."""

    relevant: tuple[str, ...]
    at_home: Found | None
    routed: Found


def _at_home(outcome: RetrievalOutcome) -> bool:
    return outcome.at_home is not None


FIGURES: tuple[Figure[RetrievalOutcome], ...] = (
    Figure(
        "ndcg_10",
        "right knowledge base: nDCG@10",
        mean(lambda it: it.at_home.ndcg_10 if it.at_home else None),
        _at_home,
    ),
    Figure(
        "recall_5",
        "right knowledge base: Recall@5",
        mean(lambda it: it.at_home.recall_5 if it.at_home else None),
        _at_home,
    ),
    Figure(
        "mrr_10", "right knowledge base: MRR@10", mean(lambda it: it.at_home.mrr_10 if it.at_home else None), _at_home
    ),
    Figure("routed_ndcg_10", "through the router: nDCG@10", mean(lambda it: it.routed.ndcg_10)),
    Figure("routed_recall_5", "through the router: Recall@5", mean(lambda it: it.routed.recall_5)),
    Figure("routed_mrr_10", "through the router: MRR@10", mean(lambda it: it.routed.mrr_10)),
)


async def _measure(turns: CaseTurns) -> RetrievalOutcome:
    case = turns.case
    at_home = Found.of((await turns.at_home()).evidence, case.relevant) if case.home else None
    return RetrievalOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        relevant=tuple(map(str, case.relevant)),
        at_home=at_home,
        routed=Found.of((await turns.routed()).evidence, case.relevant),
    )


def _applies(case: Case) -> bool:
    return bool(case.relevant)


def _fault(outcome: RetrievalOutcome) -> str | None:
    if outcome.routed.recall_5 > 0:
        return None
    return f"none of the first five is {' or '.join(outcome.relevant)}"


RETRIEVAL = Area("retrieval", RetrievalOutcome, FIGURES, _applies, _measure, _fault)
