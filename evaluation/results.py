"""What a run found: figures for people, and the outcomes from which they can be computed again. Kept as JSON.

The file's form is `version`; a reader refuses any other. See docs/evaluation.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from evaluation.areas import AREAS
from evaluation.cases import EvaluationError, half
from evaluation.figures import Area, Better, Figure, Outcome, Unit
from evaluation.measuring import Failure
from evaluation.refusals import RefusalOutcome, curve
from evaluation.separation import Risk
from evaluation.suites import Suite, View

VERSION = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure of one view: over `count` outcomes, and over those of either half of the groups. `bar` is what it should
    reach, `threshold` what it must."""

    view: str
    area: str
    figure: str
    about: str
    value: float
    halves: tuple[float | None, float | None]
    count: int
    better: Better
    unit: Unit
    bar: float | None = None
    threshold: float | None = None

    @property
    def name(self) -> str:
        return f"{self.view}.{self.area}.{self.figure}"

    def reaches(self, wanted: float) -> bool:
        return self.value <= wanted if self.better is Better.LESS else self.value >= wanted


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """`choices` are the providers that were measured. `risks` are risk–coverage curves, by view."""

    name: str
    choices: Mapping[str, str]
    outcomes: Mapping[str, Sequence[Outcome]]
    failures: Sequence[Failure] = ()
    figures: Sequence[Shown] = ()
    risks: Mapping[str, Sequence[Risk]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run. It is not `complete` when it was broken off. `missed` are thresholds without a figure that reaches
    them."""

    plan: str
    begun: datetime
    seconds: float
    complete: bool
    options: Mapping[str, Any]
    suites: Sequence[SuiteResult]
    missed: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        return self.complete and not self.missed and not any(suite.failures for suite in self.suites)


def figures_of(
    suite: Suite, outcomes: Mapping[str, Sequence[Outcome]], embeddings: bool, thresholds: Mapping[str, float]
) -> list[Shown]:
    """Every figure that has a value, view by view."""
    return [
        _shown(view, area, figure, rows, value, embeddings, thresholds)
        for view in suite.views
        for area in AREAS.values()
        if (rows := [outcome for outcome in outcomes.get(area.name, ()) if view.holds(outcome)])
        for figure in area.figures
        if view.tells(area.name, figure.name) and (value := figure.value(rows)) is not None
    ]


def _shown(
    view: View,
    area: Area[Outcome],
    figure: Figure[Outcome],
    rows: Sequence[Outcome],
    value: float,
    embeddings: bool,
    thresholds: Mapping[str, float],
) -> Shown:
    first, second = (figure.value([it for it in rows if half(it.group) == which]) for which in (0, 1))
    bar = view.bars.get(f"{area.name}.{figure.name}")
    return Shown(
        view=view.name,
        area=area.name,
        figure=figure.name,
        about=figure.about,
        value=value,
        halves=(first, second),
        count=len(figure.rows(rows)),
        better=figure.better,
        unit=figure.unit,
        bar=None if bar is None else bar.embeddings if embeddings else bar.words,
        threshold=thresholds.get(f"{view.name}.{area.name}.{figure.name}"),
    )


def risks_of(suite: Suite, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, list[Risk]]:
    """The curve of each view that tells refusals."""
    rows = [it for it in outcomes.get("refusals", ()) if isinstance(it, RefusalOutcome)]
    curves = {
        view.name: curve([it for it in rows if view.holds(it)]) for view in suite.views if view.tells("refusals", "")
    }
    return {name: points for name, points in curves.items() if points}


def missed(figures: Sequence[Shown], thresholds: Mapping[str, float], areas: frozenset[str]) -> list[str]:
    """In words, each threshold that was not reached; those of areas that were not asked for are left alone."""
    known = {it.name: it for it in figures}
    told: list[str] = []
    for name, wanted in thresholds.items():
        shown = known.get(name)
        if shown is None:
            if name.rsplit(".", 2)[1] in areas:
                told.append(f"{name} was not measured, and has a threshold of {wanted:g}")
        elif not shown.reaches(wanted):
            most = "most" if shown.better is Better.LESS else "least"
            told.append(f"{name} is {shown.value:.3f}, and must be at {most} {wanted:g}")
    return told


def written(result: Result) -> bytes:
    """The JSON of a result."""
    told = {"version": VERSION, **asdict(result), "suites": [asdict(suite) for suite in result.suites]}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2)


def read_result(path: Path) -> Result:
    """Raises EvaluationError for what is no result of this version."""
    try:
        told = orjson.loads(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise EvaluationError(f"{path} is not JSON: {error}") from error
    if not isinstance(told, dict) or told.get("version") != VERSION:
        raise EvaluationError(
            f"{path} is no result of `answerdesk evaluate` in the form {VERSION}, which this one writes"
        )
    try:
        suites = [_suite(suite) for suite in told["suites"]]
        bare = TypeAdapter(Result).validate_python({**told, "suites": []})
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise EvaluationError(f"{path} is no result of `answerdesk evaluate`: {error}") from error
    return replace(bare, suites=suites)


def _suite(told: dict[str, Any]) -> SuiteResult:
    """Areas that this version does not know are left out."""
    outcomes = {name: AREAS[name].read(rows) for name, rows in told["outcomes"].items() if name in AREAS}
    return SuiteResult(told["name"], told["choices"], outcomes)
