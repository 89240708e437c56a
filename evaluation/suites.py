"""A suite: cases, the knowledge that they are about, and how their figures are put together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.agents.catalog import AgentCatalog
from domain.knowledge import Document
from evaluation.cases import Case
from evaluation.figures import Outcome


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure should reach, by a search that knows words only and by one with embeddings."""

    words: float
    embeddings: float


@dataclass(frozen=True, slots=True)
class View:
    """Figures over the outcomes that have any of `tags` (all, without tags). `figures` are the names of those that are
    told, as `area` or `area.figure`, all without; `bars` are by such names."""

    name: str
    tags: frozenset[str] = frozenset()
    figures: tuple[str, ...] = ()
    bars: Mapping[str, Bar] = field(default_factory=dict)

    def holds(self, outcome: Outcome) -> bool:
        return not self.tags or not self.tags.isdisjoint(outcome.tags)

    def tells(self, area: str, figure: str) -> bool:
        return not self.figures or area in self.figures or f"{area}.{figure}" in self.figures


@dataclass(frozen=True, slots=True)
class Suite:
    """`documents` are each agent's. The desk's own knowledge bases, if `own`, else some that are indexed for the purpose
    under the name `knowledge`. Nobody can be routed to unless `routes`. If it `alters` its knowledge bases, they are a
    copy of its own, and its cases are measured one by one."""

    name: str
    catalog: AgentCatalog
    documents: Mapping[str, Sequence[Document]]
    cases: Sequence[Case]
    views: Sequence[View]
    knowledge: str = ""
    own: bool = False
    routes: bool = True
    alters: bool = False


def views_by_tag(name: str, cases: Iterable[Case]) -> list[View]:
    """One over all cases, and one for each tag."""
    tags = dict.fromkeys(tag for case in cases for tag in case.tags)
    return [View(name), *(View(f"{name}/{tag}", frozenset({tag})) for tag in tags)]
