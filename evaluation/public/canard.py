"""CANARD: follow-ups of QuAC's conversations, each with the rewrite that a person gave (Elgohary et al., 2019). There are
no documents, and nobody to route to."""

from pathlib import Path

from domain.agents.catalog import Agent, AgentCatalog
from evaluation.cases import Case, every
from evaluation.public.rows import TEXT, TURNS, read_rows, told
from evaluation.suites import Bar, Suite, View

NOBODY = "nobody"
"""An agent without documents, who is asked so that nothing is routed."""
_BARS = {
    "follow-ups.kept": Bar(0.95, 0.95),
    "follow-ups.entity_recall": Bar(0.45, 0.45),
    "follow-ups.added_precision": Bar(0.60, 0.60),
}


def read_canard(data: Path, nth: int) -> Suite:
    """Raises EvaluationError."""
    fields = {**dict.fromkeys(("id", "title", "query", "rewrite_human"), TEXT), "history": TURNS}
    rows = read_rows(data / "canard" / "dev_sample.jsonl", fields)
    cases = [
        Case(
            id=row["id"],
            group=row["title"],
            question=row["query"],
            history=told(row["history"]),
            accepted=(frozenset({NOBODY}),),
            standalone=row["rewrite_human"],
            areas=frozenset({"follow-ups"}),
        )
        for row in every(rows, nth)
    ]
    catalog = AgentCatalog((Agent(NOBODY, "Nobody", "nothing", Path(NOBODY)),))
    views = [View("canard", bars=_BARS)]
    return Suite("canard", catalog, {NOBODY: ()}, cases, views, knowledge="canard", routes=False)
