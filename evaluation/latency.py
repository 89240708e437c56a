"""What a turn takes: seconds and tokens. For information; a threshold on them would judge the machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.cases import Case
from evaluation.figures import Area, Better, Figure, Outcome, Unit, mean
from evaluation.sampling import percentile
from evaluation.turns import CaseTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome(Outcome):
    """One whole turn. `first_seconds` is None when it said nothing."""

    seconds: float
    first_seconds: float | None
    prompt_tokens: int
    completion_tokens: int


def _percentile(
    part: float, value: Callable[[TurnOutcome], float | None]
) -> Callable[[Sequence[TurnOutcome]], float | None]:
    def of(outcomes: Sequence[TurnOutcome]) -> float | None:
        found = [one for outcome in outcomes if (one := value(outcome)) is not None]
        return percentile(found, part) if found else None

    return of


FIGURES: tuple[Figure[TurnOutcome], ...] = (
    Figure(
        "median_seconds",
        "a whole turn: median",
        _percentile(0.5, lambda it: it.seconds),
        better=Better.LESS,
        unit=Unit.SECONDS,
    ),
    Figure(
        "p95_seconds",
        "a whole turn: 95th percentile",
        _percentile(0.95, lambda it: it.seconds),
        better=Better.LESS,
        unit=Unit.SECONDS,
    ),
    Figure(
        "median_first_seconds",
        "until the first text: median",
        _percentile(0.5, lambda it: it.first_seconds),
        better=Better.LESS,
        unit=Unit.SECONDS,
    ),
    Figure(
        "prompt_tokens",
        "tokens of a turn's prompts: mean",
        mean(lambda it: it.prompt_tokens),
        better=Better.NEITHER,
        unit=Unit.TOKENS,
    ),
    Figure(
        "completion_tokens",
        "tokens that a turn's models wrote: mean",
        mean(lambda it: it.completion_tokens),
        better=Better.NEITHER,
        unit=Unit.TOKENS,
    ),
)


async def _measure(turns: CaseTurns) -> TurnOutcome:
    case = turns.case
    answered, _ = await turns.answered()
    usage = answered.draft.usage
    return TurnOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        seconds=answered.seconds,
        first_seconds=answered.first_seconds,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )


def _applies(case: Case) -> bool:
    return True


def _fault(outcome: TurnOutcome) -> str | None:
    return None


LATENCY = Area("latency", TurnOutcome, FIGURES, _applies, _measure, _fault)
