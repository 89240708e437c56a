"""A result as people read it in a terminal."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evaluation.areas import AREAS
from evaluation.comparison import Change
from evaluation.figures import Better, Unit
from evaluation.results import Result, Shown, SuiteResult

LEGEND = (
    "Shares are of 1. The halves are two parts of the cases that share no conversation. ↓: less is better. "
    "*: a change beyond chance (95 %, paired bootstrap over conversations)."
)


def table(result: Result, changes: Mapping[str, Change] | None) -> RenderableType:
    """All figures, with what changed when there is something to compare with."""
    found = [_suite_table(suite, changes) for suite in result.suites if suite.figures]
    return Group(*found, Text(LEGEND, style="dim"))


def _suite_table(suite: SuiteResult, changes: Mapping[str, Change] | None) -> Table:
    chosen = ", ".join(f"{name}: {choice}" for name, choice in suite.choices.items())
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, title=f"{suite.name} ({escape(chosen)})", title_justify="left")
    made.add_column("figure", no_wrap=True)
    for name in ("value", "halves", "", "cases", "bar", *(("before", "change") if changes is not None else ())):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("what it says", overflow="fold", style="dim")
    view = None
    for shown in suite.figures:
        if shown.view != view:
            view = shown.view
            made.add_section()
            made.add_row(f"[bold]{escape(view)}[/]")
        change = _change(shown, changes.get(shown.name)) if changes is not None else ()
        made.add_row(*_row(shown), *change, shown.about)
    return made


def _row(shown: Shown) -> list[str]:
    first, second = (_number(value, shown.unit) for value in shown.halves)
    value = _number(shown.value, shown.unit)
    if shown.threshold is not None and not shown.reaches(shown.threshold):
        value = f"[red]{value} ✗[/]"
    arrow = " ↓" if shown.better is Better.LESS else ""
    return [f"  {shown.area}.{shown.figure}{arrow}", value, first, second, str(shown.count), _bar(shown)]


def _bar(shown: Shown) -> str:
    if shown.bar is None:
        return ""
    reached = shown.reaches(shown.bar)
    return f"{_number(shown.bar, shown.unit)} " + ("[green]reached[/]" if reached else "[red]missed[/]")


def _change(shown: Shown, change: Change | None) -> list[str]:
    if change is None:
        return ["–", "–"]
    colour = {True: "green", False: "red", None: "dim"}[change.is_better(shown.better)]
    mark = "*" if change.difference.is_beyond_noise else " "
    told = _number(change.difference.value, shown.unit, signed=True)
    return [_number(change.before, shown.unit), f"[{colour}]{told}{mark}[/]"]


def _number(value: float | None, unit: Unit, signed: bool = False) -> str:
    if value is None:
        return "–"
    sign = "+" if signed else ""
    form = {Unit.SHARE: f"{sign}.3f", Unit.COUNT: f"{sign}.0f", Unit.SECONDS: f"{sign}.3f", Unit.TOKENS: f"{sign}.0f"}
    return f"{value:{form[unit]}}" + (" s" if unit is Unit.SECONDS else "")


def faults(result: Result) -> Sequence[str]:
    """A line for each case in which something was wrong."""
    return [
        f"{suite.name} {name} {outcome.id}: {outcome.question} → {fault}"
        for suite in result.suites
        for name, outcomes in suite.outcomes.items()
        for outcome in outcomes
        if (fault := AREAS[name].fault(outcome)) is not None
    ]
