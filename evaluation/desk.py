"""The desk that is measured: single turns through the workflow that serves turns, wired as a server wires it.

To see what is decided and found without paying for an answer, a turn is *prepared*: the same workflow, with a model that
writes nothing and tells what it was given to read.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from domain.agents.assessment import Assessor
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.judging import Judge
from domain.agents.memory import recalled
from domain.agents.notes import NO_NOTES, VERSION
from domain.agents.state import Draft, Evidence, Line, TurnContext
from domain.agents.summaries import WINDOW, lines_of
from domain.errors import ContentFiltered
from domain.knowledge import ANYBODY, Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.model import Message, Role, Route, Source
from domain.ports import History, Retriever, SummaryStore
from domain.records import StoredSummary
from domain.runner import Workflow

DEPTH = 30
"""Passages that a prepared turn finds for one need: several may be of one document, and ten documents are ranked."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked, after what; `chosen` agents leave nothing to route."""

    question: str
    history: tuple[Line, ...] = ()
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was decided and found."""

    standalone: str
    routes: tuple[Route, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered, in `seconds`, the first text of it after `first_seconds`."""

    draft: Draft
    standalone: str
    routes: tuple[Route, ...]
    seconds: float
    first_seconds: float | None


@dataclass(slots=True)
class _Running:
    """One turn while it runs, and its recorder: what it may look into, and what is noted of it."""

    messages: Sequence[Message]
    retriever: Retriever
    evidence: list[Evidence] = field(default_factory=list)
    routes: tuple[Route, ...] = ()
    standalone: str | None = None
    began: float = field(default_factory=time.perf_counter)
    first: float | None = None
    text: list[str] = field(default_factory=list)

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        self.routes, self.standalone = tuple(routes), standalone_question

    def sources_found(self, sources: Sequence[Source]) -> None:
        """They are in the draft."""

    def delta(self, text: str) -> None:
        if self.first is None and text:
            self.first = time.perf_counter() - self.began
        self.text.append(text)


class Stage(Retriever, History, SummaryStore):
    """The ports that workflows are built over: each turn finds its own conversation and retriever behind them, so that
    workflows live as long as a server's do, and what their parts learn of a model is kept."""

    def __init__(self, retriever: Retriever) -> None:
        self.retriever = retriever
        self.running: ContextVar[_Running] = ContextVar("running")

    @property
    def name(self) -> str:
        return self.retriever.name

    def keep(self, evidence: Sequence[Evidence]) -> None:
        """For the model of prepared turns, to tell what it was given to read."""
        self.running.get().evidence.extend(evidence)

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        return list(self.running.get().messages[-limit:])

    async def get_summary(self, chat_id: int) -> StoredSummary | None:
        """Of all that left the window, as a chat has it that was noted all along."""
        beyond = self.running.get().messages[:-WINDOW]
        notes = NO_NOTES.after(lines_of(beyond))
        return StoredSummary(beyond[-1].id, VERSION, notes.written()) if beyond else None

    async def messages_between(self, chat_id: int, after_id: int | None, before_id: int, limit: int) -> list[Message]:
        """None: the summary never falls behind."""
        return []

    async def save_summary(
        self, chat_id: int, summary: StoredSummary, before: StoredSummary | None, covered: Sequence[int]
    ) -> bool:
        return False

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        return await self.retriever.index(agent, documents, progress)

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        return await self.running.get().retriever.search(agent, question, limit, reader)

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> TermStatistics | None:
        return await self.running.get().retriever.term_statistics(agent, terms, reader)

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        return await self.running.get().retriever.chunks(agent, document_id, reader)

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        return await self.running.get().retriever.likeness(question, texts)

    async def check(self) -> None:
        await self.retriever.check()


@dataclass(frozen=True, slots=True)
class Desk:
    """`answers` and `prepares` are workflows over the `stage`, the latter's finding DEPTH passages for a need. `phrases`
    are the sentences that an answer model which only quotes has of its own; None for one that writes freely. A `judge` looks at citations, too. `choices`
    say which providers the settings chose. `index` makes an agent's knowledge base hold exactly some documents, and
    returns when a changed one of them is found. All but the choices may raise DeskError, but for ContentFiltered: then
    the answer is what had been said by then."""

    choices: Mapping[str, str]
    catalog: AgentCatalog
    visible: tuple[Agent, ...]
    stage: Stage
    answers: Workflow
    prepares: Workflow
    index: Callable[[str, Sequence[Document], Document], Awaitable[None]]
    phrases: tuple[str, ...] | None = None
    judge: Judge | None = None
    _ids: "count[int]" = field(default_factory=lambda: count(1))

    async def prepare(self, turn: Turn) -> Prepared:
        running, _ = await self._run(turn, self.prepares, self.stage.retriever)
        return Prepared(running.standalone or turn.question, running.routes, tuple(running.evidence))

    async def answer(self, turn: Turn, retriever: Retriever | None = None) -> Answered:
        """`retriever` is asked instead of the desk's."""
        running, draft = await self._run(turn, self.answers, retriever or self.stage.retriever)
        took = time.perf_counter() - running.began
        return Answered(draft, running.standalone or turn.question, running.routes, took, running.first)

    async def assess(self, turn: Turn, standalone: str) -> tuple[float, str | None]:
        """How likely any agent holds the answer, and which one likeliest, as the embedded router sees it."""
        if not self.visible:
            return 0.0, None
        conversation = recalled(_messages(turn.history, 0)[-WINDOW:])
        (assessed,) = await Assessor(self.stage.retriever).assess(
            turn.question, standalone, conversation, self.visible, ANYBODY
        )
        return assessed.scope, assessed.best

    async def _run(self, turn: Turn, workflow: Workflow, retriever: Retriever) -> tuple[_Running, Draft]:
        number, now = next(self._ids), datetime.now(UTC)
        running = _Running(_messages(turn.history, number), retriever)
        asked = Message(_ASKED, number, number, Role.USER, turn.question, now)
        answer = Message(_ASKED + 1, number, number, Role.ASSISTANT, "", now)
        context = TurnContext(asked, answer, self.visible, turn.chosen, running, ANYBODY)
        token = self.stage.running.set(running)
        try:
            return running, await workflow(context)
        except ContentFiltered:  # a refusal, and not for want of anything: attacks are refused like that
            return running, Draft("".join(running.text))
        finally:
            self.stage.running.reset(token)


_ASKED = 1_000_000
"""The id of every question, above those of what was said before; none of them is in a database."""


def _messages(history: Sequence[Line], chat: int) -> list[Message]:
    now = datetime.now(UTC)
    return [Message(number, chat, chat, it.role, it.text, now) for number, it in enumerate(history, 1)]
