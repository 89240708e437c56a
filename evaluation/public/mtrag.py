"""MT-RAG: conversations with four knowledge bases, which stand for four agents (Katsis et al., 2025).

tasks    turns of real conversations, each about one knowledge base
switch   turns at which the conversation changes to another knowledge base, or asks on after it has
multi    two needs in one question, of two knowledge bases
outside  questions that none of them answers, at the beginning of a conversation
between  the same questions, each in the middle of one of the conversations
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.state import Line
from domain.chunking import PLAIN_TEXT
from domain.chunking import VERSION as CHUNKING
from domain.knowledge import Document
from evaluation.cases import Case, Place, every
from evaluation.public.rows import MAYBE, TEXT, TEXTS, TURNS, Row, read_rows, told
from evaluation.suites import Bar, Suite, View

ABOUT = {
    "clapnq": "general knowledge",
    "cloud": "cloud product documentation",
    "fiqa": "money questions",
    "govt": "public services of government",
}
"""The agents' descriptions."""
EACH_CONVERSATION = 7
"""Of the conversations that questions out of scope are put into, every so manieth is taken."""

_ASKED = frozenset({"routing", "retrieval"})
_SCOPE = ("routing.auroc", "routing.outside_recall_at_5", "routing.outside_recall")

_TASKS = {
    "routing.accuracy": Bar(0.97, 0.98),
    "routing.first_choice": Bar(0.97, 0.98),
    "retrieval.ndcg_10": Bar(0.485, 0.60),
    "retrieval.routed_recall_5": Bar(0.46, 0.57),
    "refusals.refused_at_10": Bar(0.35, 0.60),
}
_SWITCH = {"routing.accuracy": Bar(0.93, 0.95), "routing.first_choice": Bar(0.93, 0.95)}
_MULTI = {"routing.several_exact": Bar(0.65, 0.80)}
_OUTSIDE = {"routing.auroc": Bar(0.88, 0.95), "routing.outside_recall_at_5": Bar(0.35, 0.70)}


def read_mtrag(data: Path, nth: int) -> Suite:
    """Raises EvaluationError."""
    folder = data / "mtrag"
    documents = read_corpus(folder)
    tasks = read_tasks(folder)
    outside = read_rows(folder / "oos.jsonl", {"query": TEXT})
    talks = [told(row["history"]) for row in tasks if row["history"]][::EACH_CONVERSATION]
    switch = read_rows(
        folder / "switch.jsonl",
        {"id": TEXT, "kind": TEXT, "domain": TEXT, "query": TEXT, "history": TURNS, "qrels": TEXTS},
    )
    multi = read_rows(folder / "multi.jsonl", {"id": TEXT, "query": TEXT, "domains": TEXTS})
    cases = [
        *map(task_case, every(tasks, nth)),
        *map(_switch, every(switch, nth)),
        *map(_several, every(multi, nth)),
        *(_outside(row, "outside") for row in every(outside, nth)),
        *(_outside(row, "between", talks[n % len(talks)]) for n, row in every(list(enumerate(outside)), nth)),
    ]
    views = [
        View("mtrag-tasks", frozenset({"tasks"}), bars=_TASKS),
        *(View(f"mtrag-tasks/{name}", frozenset({f"tasks/{name}"}), ("retrieval",)) for name in documents),
        View("mtrag-switch", frozenset({"switch"}), bars=_SWITCH),
        View(
            "mtrag-multi",
            frozenset({"multi"}),
            ("routing.several_exact", "routing.several_jaccard", "retrieval"),
            _MULTI,
        ),
        View("mtrag-outside", frozenset({"tasks", "outside"}), _SCOPE, _OUTSIDE),
        View("mtrag-between", frozenset({"tasks", "between"}), _SCOPE),
    ]
    return Suite("mtrag", catalog_of(documents), documents, cases, views, knowledge="mtrag")


def read_corpus(folder: Path) -> dict[str, Sequence[Document]]:
    """One document for each passage, by domain."""
    found: dict[str, list[Document]] = defaultdict(list)
    for row in read_rows(folder / "corpus.jsonl", {"id": TEXT, "domain": TEXT, "title": TEXT, "text": TEXT}):
        found[row["domain"]].append(document(row["id"], row["domain"], row["title"], row["text"]))
    return dict(found)


def document(name: str, domain: str, title: str, text: str) -> Document:
    """The texts begin with their title. The digest is made of all that the chunks are."""
    body = text.removeprefix(title)
    digest = hashlib.sha256(f"{CHUNKING}\n{title}\n{body}".encode()).hexdigest()
    return Document(name, domain, title, body, PLAIN_TEXT, digest)


def catalog_of(documents: dict[str, Sequence[Document]]) -> AgentCatalog:
    return AgentCatalog(tuple(Agent(name, name, ABOUT.get(name, name), Path(name)) for name in documents))


def read_tasks(folder: Path) -> list[Row]:
    return read_rows(
        folder / "tasks.jsonl",
        {
            **dict.fromkeys(("id", "domain", "conversation", "query", "answerability"), TEXT),
            **{"history": TURNS, "qrels": TEXTS, "rewrite_llm": MAYBE},
        },
    )


def task_case(row: Row) -> Case:
    return Case(
        id=f"tasks:{row['id']}",
        group=row["conversation"],
        question=row["query"],
        history=told(row["history"]),
        accepted=(frozenset({row["domain"]}),),
        relevant=tuple(Place(row["domain"], name) for name in row["qrels"]),
        standalone=row["rewrite_llm"],
        answerable={"ANSWERABLE": True, "UNANSWERABLE": False}.get(row["answerability"]),
        tags=("tasks", f"tasks/{row['domain']}"),
    )


def _switch(row: Row) -> Case:
    return Case(
        id=f"switch:{row['id']}",
        group=f"switch {row['id'].partition('_')[2]}",
        question=row["query"],
        history=told(row["history"]),
        accepted=(frozenset({row["domain"]}),),
        relevant=tuple(Place(row["domain"], name) for name in row["qrels"]),
        tags=("switch", f"switch/{row['kind']}"),
        areas=_ASKED,
    )


def _several(row: Row) -> Case:
    return Case(
        id=f"multi:{row['id']}",
        group=row["id"],
        question=row["query"],
        accepted=(frozenset(row["domains"]),),
        relevant=tuple(Place(domain, name) for domain, names in row.get("qrels", {}).items() for name in names),
        tags=("multi",),
        areas=_ASKED,
    )


def _outside(row: Row, tag: str, history: tuple[Line, ...] = ()) -> Case:
    return Case(
        id=f"{tag}:{row['query']}",
        group=row["query"],
        question=row["query"],
        history=history,
        accepted=(frozenset(),),
        answerable=False,
        tags=(tag,),
        areas=frozenset({"routing"}),
    )
