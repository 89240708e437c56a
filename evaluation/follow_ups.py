"""Follow-ups: what a rewrite gains for the search beside the one that a person gave, and how alike the two are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from domain.terms import content_terms
from evaluation.cases import Case
from evaluation.figures import Area, Figure, Outcome, mean, ratio
from evaluation.retrieval import Found
from evaluation.turns import CaseTurns

_WORD = re.compile(r"[^\W_][\w'’.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpOutcome(Outcome):
    """The search in the right knowledge base with the last turn as it was written (`raw`), as we rewrite it (`ours`) and
    as it was `given`; None where it is not known what is relevant. `kept` says, where the given rewrite changes nothing,
    whether ours does not either. `named` entity words were added by the given rewrite, `named_too` of them by ours;
    ours `added` words, of which `added_rightly` are in the given one."""

    rewrite: str
    standalone: str
    raw: Found | None
    ours: Found | None
    given: Found | None
    kept: bool | None
    named: int
    named_too: int
    added: int
    added_rightly: int


def added(question: str, rewrite: str, *, names: bool = False) -> frozenset[str]:
    """The content terms of a rewrite that the question lacks; with `names`, only those of words with a capital that do
    not stand first: entities."""
    words = [word for place, word in enumerate(_WORD.findall(rewrite)) if not names or (place and word[0].isupper())]
    return frozenset(term for word in words for term in content_terms(word)) - frozenset(content_terms(question))


def same(one: str, other: str) -> bool:
    """Whether two questions are the same words, apart from case and punctuation."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def gap_closed(outcomes: Sequence[FollowUpOutcome]) -> float | None:
    """(ours - raw) / (given - raw), of mean nDCG@10; None unless the given rewrites find more than the raw turns."""
    found = [(it.raw.ndcg_10, it.ours.ndcg_10, it.given.ndcg_10) for it in outcomes if it.raw and it.ours and it.given]
    if not found:
        return None
    raw, ours, given = (fmean(column) for column in zip(*found, strict=True))
    return (ours - raw) / (given - raw) if given > raw else None


def _searched(outcome: FollowUpOutcome) -> bool:
    return outcome.raw is not None


FIGURES: tuple[Figure[FollowUpOutcome], ...] = (
    Figure(
        "raw_ndcg_10", "nDCG@10, last turn as written", mean(lambda it: it.raw.ndcg_10 if it.raw else None), _searched
    ),
    Figure("ours_ndcg_10", "nDCG@10, our rewrite", mean(lambda it: it.ours.ndcg_10 if it.ours else None), _searched),
    Figure(
        "given_ndcg_10", "nDCG@10, given rewrite", mean(lambda it: it.given.ndcg_10 if it.given else None), _searched
    ),
    Figure(
        "raw_recall_5",
        "Recall@5, last turn as written",
        mean(lambda it: it.raw.recall_5 if it.raw else None),
        _searched,
    ),
    Figure("ours_recall_5", "Recall@5, our rewrite", mean(lambda it: it.ours.recall_5 if it.ours else None), _searched),
    Figure(
        "given_recall_5", "Recall@5, given rewrite", mean(lambda it: it.given.recall_5 if it.given else None), _searched
    ),
    Figure("gap_closed", "the part of the gap in nDCG@10 that our rewrite closes", gap_closed, _searched),
    Figure(
        "kept", "needs no change, and is kept word for word", mean(lambda it: it.kept), lambda it: it.kept is not None
    ),
    Figure(
        "entity_recall",
        "entity words of the given rewrite that ours adds",
        ratio(lambda it: it.named_too, lambda it: it.named),
    ),
    Figure(
        "added_precision",
        "words that ours adds which the given rewrite has",
        ratio(lambda it: it.added_rightly, lambda it: it.added),
    ),
)


async def _measure(turns: CaseTurns) -> FollowUpOutcome:
    case = turns.case
    standalone = case.standalone or case.question
    prepared = await (turns.at_home() if case.home else turns.routed())
    raw = ours = given = None
    if case.home and case.relevant:
        raw, ours, given = (
            Found.of(one.evidence, case.relevant) for one in (await turns.raw(), prepared, await turns.given())
        )
    named, said = added(case.question, standalone, names=True), added(case.question, prepared.standalone)
    return FollowUpOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        rewrite=prepared.standalone,
        standalone=standalone,
        raw=raw,
        ours=ours,
        given=given,
        kept=prepared.standalone == case.question if same(case.question, standalone) else None,
        named=len(named),
        named_too=len(named & said),
        added=len(said),
        added_rightly=len(said & added(case.question, standalone)),
    )


def _applies(case: Case) -> bool:
    return bool(case.history and case.standalone)


def _fault(outcome: FollowUpOutcome) -> str | None:
    missed = outcome.named_too < outcome.named or outcome.added_rightly < outcome.added
    if outcome.kept is not False and not missed:
        return None
    return f"rewritten “{outcome.rewrite}”, given “{outcome.standalone}”"


FOLLOW_UPS = Area("follow-ups", FollowUpOutcome, FIGURES, _applies, _measure, _fault)
