"""Runs a suite's cases on a desk, a bounded number at a time, and keeps what came of each as soon as it is there."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from domain.errors import DeskError
from evaluation.areas import AREAS
from evaluation.cases import Case
from evaluation.desk import Desk
from evaluation.figures import Area, Outcome
from evaluation.suites import Suite
from evaluation.turns import CaseTurns

GIVEN_UP = 5
"""After so many failures with nothing measured between them a run ends: what it needs is not there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be measured, and why."""

    id: str
    error: str


class GaveUp(Exception):
    """Nothing can be measured any more; the message is the last failure's."""


@dataclass(slots=True)
class Measured:
    """What has been measured so far: outcomes by area, in the order in which they came."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def areas_of(case: Case, wanted: frozenset[str]) -> list[Area[Outcome]]:
    """Those of the wanted areas that a case is meant for, and tells enough for."""
    names = wanted if case.areas is None else wanted & case.areas
    return [area for name, area in AREAS.items() if name in names and area.applies(case)]


class Measuring:
    """One suite on one desk, for some areas. `progress` is told how many of how many cases are done."""

    def __init__(self, suite: Suite, desk: Desk, areas: frozenset[str], progress: Callable[[int, int], None]) -> None:
        self._suite = suite
        self._desk = desk
        self._areas = areas
        self._progress = progress
        self._row_of_failures = 0
        self._done = 0
        self.measured = Measured()

    async def run(self, at_once: int) -> None:
        """Raises GaveUp."""
        cases = [(case, areas) for case in self._suite.cases if (areas := areas_of(case, self._areas))]
        self._progress(0, len(cases))
        waiting = iter(cases)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(at_once, len(cases))):
                    group.create_task(self._work(waiting, len(cases)))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def _work(self, waiting: Iterator[tuple[Case, Sequence[Area[Outcome]]]], total: int) -> None:
        for case, areas in waiting:
            turns = CaseTurns(self._desk, case, self._suite.documents)
            try:
                found = [(area.name, await area.measure(turns)) for area in areas]
            except DeskError as failure:
                self._failed(case, failure)
            else:
                self._row_of_failures = 0
                for name, outcome in found:
                    self.measured.outcomes.setdefault(name, []).append(outcome)
            self._done += 1
            self._progress(self._done, total)

    def _failed(self, case: Case, failure: DeskError) -> None:
        self.measured.failures.append(Failure(case.id, f"{failure.code}: {failure.message}"))
        self._row_of_failures += 1
        if self._row_of_failures >= GIVEN_UP:
            raise GaveUp(failure.message)
