"""What an area of measuring consists of: an outcome for each case, and figures over outcomes.

Outcomes are what a result keeps, so each figure can be computed again from an earlier result.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from evaluation.cases import Case
from evaluation.turns import CaseTurns


class Better(StrEnum):
    """Which way a figure gets better."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


class Unit(StrEnum):
    """What a figure is in."""

    SHARE = "share"
    COUNT = "count"
    SECONDS = "seconds"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one case, in one area."""

    id: str
    group: str
    tags: tuple[str, ...]
    question: str


O_contra = TypeVar("O_contra", bound=Outcome, contravariant=True)
O = TypeVar("O", bound=Outcome)  # noqa: E741


def _all(outcome: Outcome) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Figure(Generic[O_contra]):
    """`of` gives its value for the outcomes that it is `over`, None when they do not tell. `about` is one line for people."""

    name: str
    about: str
    of: Callable[[Sequence[O_contra]], float | None]
    over: Callable[[O_contra], bool] = _all
    better: Better = Better.MORE
    unit: Unit = Unit.SHARE

    def rows(self, outcomes: Sequence[O_contra]) -> list[O_contra]:
        return [outcome for outcome in outcomes if self.over(outcome)]

    def value(self, outcomes: Sequence[O_contra]) -> float | None:
        rows = self.rows(outcomes)
        return self.of(rows) if rows else None


@dataclass(frozen=True, slots=True)
class Area(Generic[O]):
    """One thing that is measured. `applies` says for which cases it can be, `measure` does it, and `fault` says in a
    sentence what was wrong, if anything was."""

    name: str
    outcome: type[O]
    figures: tuple[Figure[O], ...]
    applies: Callable[[Case], bool]
    measure: Callable[[CaseTurns], Awaitable[O]]
    fault: Callable[[O], str | None]

    def read(self, rows: Sequence[object]) -> list[O]:
        """Outcomes out of a result's JSON. Raises pydantic's ValidationError."""
        adapter = TypeAdapter(self.outcome)
        return [adapter.validate_python(row) for row in rows]


def mean(value: Callable[[O], float | None]) -> Callable[[Sequence[O]], float | None]:
    """The mean over the outcomes that have the value."""

    def of(outcomes: Sequence[O]) -> float | None:
        found = [one for outcome in outcomes if (one := value(outcome)) is not None]
        return fmean(found) if found else None

    return of


def total(value: Callable[[O], int]) -> Callable[[Sequence[O]], float]:
    return lambda outcomes: float(sum(value(outcome) for outcome in outcomes))


def ratio(part: Callable[[O], int], whole: Callable[[O], int]) -> Callable[[Sequence[O]], float | None]:
    """Of all that `whole` counts, what `part` counts: every counted thing weighs the same, whatever case it is of."""

    def of(outcomes: Sequence[O]) -> float | None:
        all_of_them = sum(whole(outcome) for outcome in outcomes)
        return sum(part(outcome) for outcome in outcomes) / all_of_them if all_of_them else None

    return of
