"""How well the desk decides without a model: which agent is asked, how follow-ups are rewritten, when it refuses.

    python bench/decisions.py --data ../shared/data [--every 1] [--show]

Prints, by keywords only and (when the extra is installed) with embeddings: routing accuracy on the MT-RAG tasks, on
turns that change the agent and on questions with two needs; AUROC and recall at 5 % false refusal for questions that
no agent can answer, asked at the beginning and inside a conversation; the same for CLINC150, whose agents are known by
examples only; CANARD's follow-ups; and the sample knowledge bases with the questions of bench/questions.tsv.

Each figure stands three times: over all rows, and over two halves that share no conversation.

How the constants were chosen, 2026-11-22. These rows are development data, so expect less on others:
- domain/agents/weighing.py and routing.py: logits fitted on each half of the MT-RAG rows and checked on the other (they
  agreed within three points of routing accuracy), then on all rows, rounded; the weights of titles,
  descriptions and the conversation were set beside the best of 13 settings, by all MT-RAG rows and the sample questions.
- references.py: a search over one half of CANARD gained little on the other; values near its result were taken.
- examples.py: one of the best few of some 160 settings, on all of CLINC150's development questions.
- extraction.py: by hand, on the sample questions.
bench/questions.tsv was written before its first run. The failures were then read to find general faults, so its
figures are no measure of unseen questions either.

`--every 3` takes every third row, for a look in about a minute.
"""

import argparse
import asyncio
import csv
import hashlib
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.prompts import Numbered, answer_messages
from domain.agents.rewriting import Rewriter
from domain.agents.routing import Assessment, Router
from domain.agents.state import Conversation, Evidence, Line
from domain.chunking import PLAIN_TEXT
from domain.documents import read_documents
from domain.knowledge import ANYBODY, Document
from domain.model import Role
from domain.terms import content_terms
from providers.embedded_search import EmbeddedSearch, Embeds
from providers.embeddings import installed_embedder
from providers.extractive import NO_ANSWER, answer

PASSAGES = 6
ROOT = Path(__file__).parent.parent
Row = dict[str, Any]
_WORD = re.compile(r"[^\W_][\w'’.-]*")


def read(path: Path, every: int = 1) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()][::every]


def conversation(history: Iterable[Row]) -> Conversation:
    roles = {"user": Role.USER, "agent": Role.ASSISTANT, "assistant": Role.ASSISTANT}
    return Conversation(tuple(Line(roles[turn["role"]], turn["content"]) for turn in history))


def half(row: Row) -> int:
    name = str(row.get("conversation") or row.get("title") or row.get("id") or row.get("query") or row.get("q"))
    return hashlib.sha256(name.encode()).digest()[0] % 2


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    wins = sum((i > o) + 0.5 * (i == o) for i in inside for o in outside)
    return wins / max(1, len(inside) * len(outside))


def recall(inside: Sequence[float], outside: Sequence[float], refused: float = 0.05) -> float:
    """The part of `outside` that is refused when `refused` of `inside` are."""
    threshold = sorted(inside)[int(refused * len(inside))]
    return sum(score < threshold for score in outside) / max(1, len(outside))


def by_halves(rows: Sequence[tuple[int, bool]]) -> str:
    parts = [[hit for which, hit in rows if which in wanted] for wanted in ((0, 1), (0,), (1,))]
    return "  ".join(f"{sum(part) / max(1, len(part)):6.3f}" for part in parts)


def separated(inside: Sequence[tuple[int, float]], outside: Sequence[tuple[int, float]]) -> str:
    found = [
        measure([s for h, s in inside if h in wanted], [s for h, s in outside if h in wanted])
        for measure in (auroc, recall)
        for wanted in ((0, 1), (0,), (1,))
    ]
    return (
        "AUROC " + "  ".join(f"{f:5.3f}" for f in found[:3]) + "   recall " + "  ".join(f"{f:5.3f}" for f in found[3:])
    )


@dataclass(frozen=True)
class Desk:
    """A router and a rewriter over some agents."""

    search: EmbeddedSearch
    agents: Sequence[Agent]
    router: Router
    rewriter: Rewriter

    @classmethod
    def of(cls, search: EmbeddedSearch, agents: Sequence[Agent]) -> "Desk":
        return cls(search, agents, Router(search), Rewriter(search))

    async def assess(self, question: str, before: Conversation) -> Assessment:
        whole = await self.rewriter.rewrite(question, before, self.agents, ANYBODY)
        return await self.router.assess(question, whole, before, self.agents, ANYBODY)

    async def routes(self, question: str, before: Conversation) -> set[str]:
        whole = await self.rewriter.rewrite(question, before, self.agents, ANYBODY)
        routing = await self.router.route(question, whole, before, self.agents, ANYBODY)
        return {route.agent for route in routing.routes}


async def mtrag(data: Path, search: EmbeddedSearch, every: int) -> None:
    documents: dict[str, list[Document]] = defaultdict(list)
    for row in read(data / "corpus.jsonl"):
        body = row["text"].removeprefix(row["title"] or "")
        documents[row["domain"]].append(
            Document(row["id"], row["domain"], row["title"] or "", body, PLAIN_TEXT, digest=row["id"])
        )
    for domain, found in documents.items():
        await search.index(domain, found)
    desk = Desk.of(search, [Agent(name, name, name, data) for name in documents])
    inside: list[tuple[int, float]] = []
    for name in ("tasks", "switch"):
        best, exact = [], []
        for row in read(data / f"{name}.jsonl", every):
            before = conversation(row["history"])
            assessed = await desk.assess(row["query"], before)
            best.append((half(row), assessed.best == row["domain"]))
            exact.append((half(row), await desk.routes(row["query"], before) == {row["domain"]}))
            if name == "tasks":
                inside.append((half(row), assessed.scope))
        print(f"mtrag {name:<12} best agent {by_halves(best)}   asked alone {by_halves(exact)}")
    rows = read(data / "multi.jsonl")
    both = [(half(r), await desk.routes(r["query"], Conversation()) == set(r["domains"])) for r in rows]
    print(f"mtrag multi        exact set  {by_halves(both)}")
    histories = [row["history"] for row in read(data / "tasks.jsonl") if row["history"]]
    rows = read(data / "oos.jsonl")
    for name, befores in (("at first", [Conversation()]), ("in between", list(map(conversation, histories[::7])))):
        outside = [
            (half(row), (await desk.assess(row["query"], befores[i % len(befores)])).scope)
            for i, row in enumerate(rows)
        ]
        print(f"mtrag out of scope, {name:<10} {separated(inside, outside)}")


async def clinc(data: Path, search: EmbeddedSearch, every: int) -> None:
    examples: dict[str, list[str]] = defaultdict(list)
    for row in read(data / "examples.jsonl"):
        examples[row["domain"]].append(row["q"])
    agents = [Agent(name, name, name.replace("_", " "), data, examples=tuple(e)) for name, e in examples.items()]
    for agent in agents:
        await search.index(agent.name, [])
    desk = Desk.of(search, agents)
    hits: list[tuple[int, bool]] = []
    inside: list[tuple[int, float]] = []
    outside: list[tuple[int, float]] = []
    for row in read(data / "dev.jsonl", every):
        assessed = await desk.assess(row["q"], Conversation())
        if row["domain"]:
            hits.append((half(row), assessed.best == row["domain"]))
        (inside if row["domain"] else outside).append((half(row), assessed.scope))
    print(f"clinc accuracy {by_halves(hits)}   {separated(inside, outside)}")


def added(query: str, rewrite: str, *, names: bool = False) -> set[str]:
    """Terms of a rewrite that the query lacks; only those of words with a capital, not at the start, for `names`."""
    words = [word for i, word in enumerate(_WORD.findall(rewrite)) if not names or (i and word[0].isupper())]
    return {term for word in words for term in content_terms(word)} - set(content_terms(query))


async def canard(data: Path, search: EmbeddedSearch) -> None:
    rewriter = Rewriter(search)
    for wanted in ((0, 1), (0,), (1,)):
        rows = [row for row in read(data / "dev_sample.jsonl") if half(row) in wanted]
        left, kept, names, found, ours, right, told = 0, 0, 0, 0, 0, 0, 0
        for row in rows:
            query, human = row["query"], row["rewrite_human"]
            mine = await rewriter.rewrite(query, conversation(row["history"]), (), ANYBODY)
            history = " ".join(turn["content"] for turn in row["history"])
            if _plain(query) == _plain(human):
                left, kept = left + 1, kept + (mine == query)
            meant, said = added(query, human, names=True), added(query, mine)
            names, found, told = (
                names + len(meant),
                found + len(meant & said),
                told + len(meant & added(query, history)),
            )
            ours, right = ours + len(said), right + len(said & added(query, human))
        print(
            f"canard half {wanted}: left alone {kept}/{left}, names recalled {found / names:.3f} "
            f"(the history has {told / names:.3f}), added words that are right {right / max(1, ours):.3f}"
        )


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text)).casefold()


async def sample(search: EmbeddedSearch, show: bool) -> None:
    """The questions of questions.tsv: whether the right agents are asked, and the answer holds what it must."""
    catalog = AgentCatalog.load(ROOT / "agents.toml")
    for agent in catalog.all:
        await search.index(agent.name, read_documents(agent.name, agent.knowledge_base))
    desk = Desk.of(search, catalog.all)
    scores: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    with (ROOT / "bench/questions.tsv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            asked = [*filter(None, (row["before"] or "").split(";;")), row["question"]]
            agents, text = await _chat(desk, asked)
            hit = _routed(agents, row["agents"] or ""), _holds(text, row["holds"] or "")
            if row["kind"] == "unheld":
                hit = hit[1], hit[1]
            scores[row["kind"]].append(hit)
            if show and not all(hit):
                print(f"  {row['kind']}: {' → '.join(asked)} → {sorted(agents)} {text!r}")
    for kind, hits in scores.items():
        routed, held = (sum(hit[i] for hit in hits) / len(hits) for i in (0, 1))
        print(f"sample {kind:<8} {len(hits):>3} questions: routed {routed:.3f}, answered {held:.3f}")


async def _chat(desk: Desk, asked: Sequence[str]) -> tuple[set[str], str]:
    lines: list[Line] = []
    agents: set[str] = set()
    text = NO_ANSWER
    for question in asked:
        before = Conversation(tuple(lines))
        whole = await desk.rewriter.rewrite(question, before, desk.agents, ANYBODY)
        routing = await desk.router.route(question, whole, before, desk.agents, ANYBODY)
        evidence = [
            Evidence(n, tuple(await desk.search.search(n.agent, n.text, PASSAGES, ANYBODY))) for n in routing.needs
        ]
        text = answer(answer_messages(whole, before, Numbered(evidence), desk.agents))
        agents = {route.agent for route in routing.routes}
        lines += [Line(Role.USER, question), Line(Role.ASSISTANT, text)]
    return agents, text


def _routed(agents: set[str], wanted: str) -> bool:
    """`a,b`: both; `a|b`: one of them; nothing: nobody."""
    if "," in wanted:
        return agents == set(wanted.split(","))
    return len(agents) == 1 and agents <= set(wanted.split("|")) if wanted else not agents


def _holds(text: str, wanted: str) -> bool:
    """`a&&b`: both; `a;;b`: either; nothing: anything."""
    return all(any(one.casefold() in text.casefold() for one in part.split(";;")) for part in wanted.split("&&"))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="the folder of the data sets")
    parser.add_argument("--every", type=int, default=3, help="take every nth row of the large sets")
    parser.add_argument("--show", action="store_true", help="print the sample questions that fail")
    options = parser.parse_args()
    embedders: list[Embeds | None] = [None]
    if embedder := installed_embedder():
        embedders.append(embedder)
    for chosen in embedders:
        with tempfile.TemporaryDirectory() as folder:
            made: Callable[[str], EmbeddedSearch] = lambda name: EmbeddedSearch(_made(Path(folder) / name), chosen)  # noqa: B023, E731
            print(f"\n{made('x').name}; each figure for all rows, half 0, half 1")
            await sample(made("sample"), options.show)
            await canard(options.data / "canard", made("canard"))
            await clinc(options.data / "clinc150", made("clinc"), options.every)
            await mtrag(options.data / "mtrag", made("mtrag"), options.every)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    asyncio.run(main())
