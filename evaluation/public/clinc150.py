"""CLINC150: ten domains, which stand for ten agents known by example questions only (Larson et al., 2019)."""

from collections import defaultdict
from pathlib import Path

from domain.agents.catalog import Agent, AgentCatalog
from evaluation.cases import Case, every
from evaluation.public.rows import MAYBE, TEXT, Row, read_rows
from evaluation.suites import Bar, Suite, View

_BARS = {
    "routing.accuracy": Bar(0.85, 0.92),
    "routing.first_choice": Bar(0.85, 0.92),
    "routing.auroc": Bar(0.86, 0.94),
    "routing.outside_recall_at_5": Bar(0.40, 0.70),
}


def read_clinc150(data: Path, nth: int) -> Suite:
    """Raises EvaluationError."""
    examples: dict[str, list[str]] = defaultdict(list)
    for row in read_rows(data / "clinc150" / "examples.jsonl", {"q": TEXT, "domain": TEXT}):
        examples[_name(row["domain"])].append(row["q"])
    agents = [
        Agent(name, name, name.replace("-", " "), Path(name), examples=tuple(asked)) for name, asked in examples.items()
    ]
    rows = read_rows(data / "clinc150" / "dev.jsonl", {"q": TEXT, "domain": MAYBE})
    cases = [_case(number, row) for number, row in every(list(enumerate(rows)), nth)]
    views = [View("clinc150", bars=_BARS)]
    documents = {agent.name: () for agent in agents}
    return Suite("clinc150", AgentCatalog(tuple(agents)), documents, cases, views, knowledge="clinc150")


def _case(number: int, row: Row) -> Case:
    wanted = frozenset({_name(row["domain"])} if row["domain"] else ())
    return Case(
        id=str(number),
        group=row["q"],
        question=row["q"],
        accepted=(wanted,),
        areas=frozenset({"routing"}),
    )


def _name(domain: str) -> str:
    """As agents are named."""
    return domain.replace("_", "-")
