"""Routing: whether those agents are asked that hold the answer, and nobody when none does."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.model import RouteMethod
from evaluation.cases import Case
from evaluation.choices import jaccard, macro_f1
from evaluation.desk import Turn
from evaluation.figures import Area, Better, Figure, Outcome, mean
from evaluation.separation import auroc, refused_at
from evaluation.turns import CaseTurns

FALSE_REFUSALS = 0.05
"""The part of answerable questions that may be refused where recall of the others is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingOutcome(Outcome):
    """`accepted`: any of these sets is right, the empty one for nobody. `best` is the likeliest agent, asked or not;
    `scope` scores how likely any agent holds the answer, and only orders questions. `asked_back`: `routed` are the two
    agents of whom the user was asked which is meant, and that is never right."""

    accepted: tuple[tuple[str, ...], ...]
    routed: tuple[str, ...]
    best: str | None
    scope: float
    asked_back: bool = False

    @property
    def is_outside(self) -> bool:
        return self.accepted == ((),)

    @property
    def needs_several(self) -> bool:
        return any(len(names) > 1 for names in self.accepted)

    @property
    def is_right(self) -> bool:
        return not self.asked_back and any(set(names) == set(self.routed) for names in self.accepted)

    @property
    def best_is_right(self) -> bool:
        return any(self.best in names for names in self.accepted)

    @property
    def wanted(self) -> frozenset[str]:
        """The accepted set that is nearest to what was asked."""
        chosen = set(self.routed)
        return frozenset(max(self.accepted, key=lambda names: jaccard(set(names), chosen)))

    @property
    def overlap(self) -> float:
        return jaccard(self.wanted, set(self.routed))


def _inside(outcome: RoutingOutcome) -> bool:
    return not outcome.is_outside


def _scopes(outcomes: Sequence[RoutingOutcome]) -> tuple[list[float], list[float]]:
    """Of questions that an agent can answer, and of the others."""
    return [it.scope for it in outcomes if _inside(it)], [it.scope for it in outcomes if it.is_outside]


def _macro_f1(outcomes: Sequence[RoutingOutcome]) -> float | None:
    return macro_f1([(it.wanted, set(it.routed)) for it in outcomes])


def _auroc(outcomes: Sequence[RoutingOutcome]) -> float | None:
    return auroc(*_scopes(outcomes))


def _recall(outcomes: Sequence[RoutingOutcome]) -> float | None:
    return refused_at(*_scopes(outcomes), FALSE_REFUSALS)


FIGURES: tuple[Figure[RoutingOutcome], ...] = (
    Figure("accuracy", "asked are exactly the right agents", mean(lambda it: it.is_right), _inside),
    Figure(
        "first_choice",
        "the likeliest agent is the right one, asked or not",
        mean(lambda it: it.best_is_right),
        lambda it: _inside(it) and not it.needs_several,
    ),
    Figure("macro_f1", "the mean of the agents' F1", _macro_f1, _inside),
    Figure(
        "several_exact",
        "several needs: exactly the right agents",
        mean(lambda it: it.is_right),
        lambda it: it.needs_several,
    ),
    Figure(
        "several_jaccard",
        "several needs: overlap of the sets",
        mean(lambda it: it.overlap),
        lambda it: it.needs_several,
    ),
    Figure("outside_recall", "out of scope: nobody is asked", mean(lambda it: not it.routed), lambda it: it.is_outside),
    Figure("false_refusals", "in scope: nobody is asked", mean(lambda it: not it.routed), _inside, Better.LESS),
    Figure(
        "asked_back", "in scope: the user is asked which is meant", mean(lambda it: it.asked_back), _inside, Better.LESS
    ),
    Figure("auroc", "in and out of scope told apart", _auroc),
    Figure("outside_recall_at_5", "out of scope refused, with 5 % of those in scope", _recall),
)


def _applies(case: Case) -> bool:
    return case.accepted is not None


async def _measure(turns: CaseTurns) -> RoutingOutcome:
    case = turns.case
    prepared = await turns.routed()
    scope, best = await turns.desk.assess(Turn(case.question, await turns.history()), prepared.standalone)
    decided = [route for route in prepared.routes if route.method is RouteMethod.MODEL]
    if decided:
        # A model tells its confidence on a scale of its own, and only where it names an agent: surer than all others.
        scope, best = 1 + decided[0].confidence, decided[0].agent
    return RoutingOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        accepted=tuple(tuple(sorted(names)) for names in case.accepted or ()),
        routed=tuple(route.agent for route in prepared.routes),
        best=best,
        scope=scope,
        asked_back=any(route.method is RouteMethod.CLARIFICATION for route in prepared.routes),
    )


def _fault(outcome: RoutingOutcome) -> str | None:
    if outcome.is_right:
        return None
    asked = (" or ".join(outcome.routed) + "?") if outcome.asked_back else " and ".join(outcome.routed) or "nobody"
    return f"asked {asked}, not {' or '.join(' and '.join(names) or 'nobody' for names in outcome.accepted)}"


ROUTING = Area("routing", RoutingOutcome, FIGURES, _applies, _measure, _fault)
