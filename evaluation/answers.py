"""Answers: whether the text holds what it must, and lacks what it must not say."""

from dataclasses import dataclass

from evaluation.cases import Case
from evaluation.figures import Area, Figure, Outcome, mean
from evaluation.turns import CaseTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOutcome(Outcome):
    """`missing` are the alternatives of which none is in the answer, `said` what should not be."""

    answer: str
    missing: tuple[str, ...]
    said: tuple[str, ...]


FIGURES: tuple[Figure[AnswerOutcome], ...] = (
    Figure(
        "right", "the answer holds what it must and lacks what it must", mean(lambda it: not (it.missing or it.said))
    ),
)


async def _measure(turns: CaseTurns) -> AnswerOutcome:
    case = turns.case
    answered, _ = await turns.answered()
    text = answered.draft.text.casefold()
    return AnswerOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        answer=answered.draft.text,
        missing=tuple(" or ".join(one) for one in case.holds if not any(it.casefold() in text for it in one)),
        said=tuple(it for it in case.lacks if it.casefold() in text),
    )


def _applies(case: Case) -> bool:
    return bool(case.holds or case.lacks)


def _fault(outcome: AnswerOutcome) -> str | None:
    told = [*(f"lacks “{it}”" for it in outcome.missing), *(f"says “{it}”" for it in outcome.said)]
    return f"{', '.join(told)}: “{outcome.answer}”" if told else None


ANSWERS = Area("answers", AnswerOutcome, FIGURES, _applies, _measure, _fault)
