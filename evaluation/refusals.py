"""Refusals: whether a question is refused when the documents do not hold its answer, and only then.

A question whose relevant passages are known is asked twice: as the documents are, and without those passages. A turn
refuses when it cites nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.agents.state import Draft
from evaluation.cases import Case
from evaluation.figures import Area, Better, Figure, Outcome, mean
from evaluation.separation import Risk, area_under_risk, auroc, refused_at, risk_coverage
from evaluation.turns import CaseTurns

REFUSED_PRESENT = 0.10
"""The part of questions that may be refused although their answer is there, where refusals are compared."""


def answerability(draft: Draft) -> float:
    """How sure a turn was that the documents answer the question: higher is surer, on any scale. All that a draft tells of
    it today is whether it cites anything; a graded score of the workflow is to be read here."""
    return 1.0 if draft.sources else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalOutcome(Outcome):
    """`present` scores the turn with the documents as they are, `absent` without the relevant passages, None where there
    are none; `refused` and `refused_absent` are the decisions."""

    answerable: bool
    present: float
    refused: bool
    absent: float | None = None
    refused_absent: bool | None = None


def _pair(outcome: RefusalOutcome) -> bool:
    return outcome.absent is not None


def _scores(outcomes: Sequence[RefusalOutcome]) -> tuple[list[float], list[float]]:
    """Of pairs: with the relevant passages, and without."""
    return [it.present for it in outcomes], [it.absent for it in outcomes if it.absent is not None]


def curve(outcomes: Sequence[RefusalOutcome]) -> list[Risk]:
    return risk_coverage(*_scores([it for it in outcomes if _pair(it)]))


def _refused_at(outcomes: Sequence[RefusalOutcome]) -> float | None:
    return refused_at(*_scores(outcomes), REFUSED_PRESENT)


def _auroc(outcomes: Sequence[RefusalOutcome]) -> float | None:
    return auroc(*_scores(outcomes))


def _area(outcomes: Sequence[RefusalOutcome]) -> float | None:
    return area_under_risk(curve(outcomes))


FIGURES: tuple[Figure[RefusalOutcome], ...] = (
    Figure("refused_at_10", "answer removed: refused, with 10 % of those it is there for", _refused_at, _pair),
    Figure("refused_absent", "answer removed: refused", mean(lambda it: it.refused_absent), _pair),
    Figure(
        "refused_present", "answer there: refused", mean(lambda it: it.refused), lambda it: it.answerable, Better.LESS
    ),
    Figure(
        "refused_unanswerable",
        "never had an answer: refused",
        mean(lambda it: it.refused),
        lambda it: not it.answerable,
    ),
    Figure("auroc", "answer there and removed told apart", _auroc, _pair),
    Figure("risk", "area under the risk–coverage curve", _area, _pair, Better.LESS),
)


async def _measure(turns: CaseTurns) -> RefusalOutcome:
    case = turns.case
    answered, _ = await turns.answered()
    absent: Draft | None = None
    if case.answerable and case.relevant:
        absent = (await turns.answered_without_relevant())[0].draft
    return RefusalOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        answerable=bool(case.answerable),
        present=answerability(answered.draft),
        refused=not answered.draft.sources,
        absent=None if absent is None else answerability(absent),
        refused_absent=None if absent is None else not absent.sources,
    )


def _applies(case: Case) -> bool:
    return case.answerable is not None


def _fault(outcome: RefusalOutcome) -> str | None:
    if outcome.answerable and outcome.refused:
        return "refused, and the answer is there"
    if not outcome.answerable and not outcome.refused:
        return "answered, and there is no answer"
    return "answered without its passages" if outcome.refused_absent is False else None


REFUSALS = Area("refusals", RefusalOutcome, FIGURES, _applies, _measure, _fault)
