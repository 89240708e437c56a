"""A run beside an earlier one: how each figure changed over the cases that both have measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.areas import AREAS
from evaluation.figures import Better, Figure, Outcome
from evaluation.results import Result
from evaluation.sampling import Difference, difference
from evaluation.suites import Suite


@dataclass(frozen=True, slots=True)
class Change:
    """Of a figure, over `count` outcomes that both runs have."""

    before: float
    difference: Difference
    count: int

    def is_better(self, better: Better) -> bool | None:
        """None when the change can be chance, or neither way is better."""
        if not self.difference.is_beyond_noise or better is Better.NEITHER:
            return None
        return (self.difference.value > 0) == (better is Better.MORE)


def compare(before: Result, after: Result, suites: Sequence[Suite], seed: int) -> dict[str, Change]:
    """By the names of the figures. What only one of them has measured is left out."""
    earlier = {suite.name: suite.outcomes for suite in before.suites}
    views = {view.name: view for suite in suites for view in suite.views}
    found: dict[str, Change] = {}
    for suite in after.suites:
        for shown in suite.figures:
            area, view = AREAS[shown.area], views[shown.view]
            figure = next(it for it in area.figures if it.name == shown.figure)
            rows = [
                [it for it in outcomes.get(shown.area, ()) if view.holds(it)]
                for outcomes in (earlier.get(suite.name, {}), suite.outcomes)
            ]
            if change := _change(figure, *_paired(*rows), seed):
                found[shown.name] = change
    return found


def _paired(before: Sequence[Outcome], after: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The outcomes of the cases that both have, in the same order."""
    old = {outcome.id: outcome for outcome in before}
    both = [outcome for outcome in after if outcome.id in old]
    return [old[outcome.id] for outcome in both], both


def _change(figure: Figure[Outcome], before: list[Outcome], after: list[Outcome], seed: int) -> Change | None:
    groups = [outcome.group for outcome in after]
    found = difference(before, after, groups, figure.value, seed) if after else None
    was = figure.value(before)
    return None if found is None or was is None else Change(was, found, len(figure.rows(after)))


def changed(before: Result, after: Result) -> Mapping[str, tuple[list[str], list[str]]]:
    """By `suite.area`: the cases that were right and are wrong now, and the other way round."""
    earlier = {suite.name: suite.outcomes for suite in before.suites}
    found: dict[str, tuple[list[str], list[str]]] = {}
    for suite in after.suites:
        for name, outcomes in suite.outcomes.items():
            fault = AREAS[name].fault
            old, new = _paired(earlier.get(suite.name, {}).get(name, ()), outcomes)
            pairs = [(b.id, fault(b) is None, fault(a) is None) for b, a in zip(old, new, strict=True)]
            worse = [case for case, was, now in pairs if was and not now]
            better = [case for case, was, now in pairs if now and not was]
            if worse or better:
                found[f"{suite.name}.{name}"] = worse, better
    return found
