"""What flows through the workflow: the state that its nodes read and write, and the context of one turn."""

import asyncio
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol, TypedDict

from domain.agents.catalog import Agent
from domain.agents.notes import NO_NOTES, Notes
from domain.knowledge import Passage, Reader
from domain.model import Message, Role, Route, Source, Usage


@dataclass(frozen=True, slots=True)
class Line:
    """One earlier message of the conversation."""

    role: Role
    text: str
    said_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the workflow remembers: the last messages, oldest first, without the question being answered, and notes of
    those before."""

    lines: tuple[Line, ...] = ()
    notes: Notes = NO_NOTES

    @property
    def questions(self) -> tuple[str, ...]:
        return tuple(line.text for line in self.lines if line.role is Role.USER)

    @property
    def known(self) -> Notes:
        """The notes with what the last messages add."""
        return self.notes.after(self.lines)


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the question asks for, as words that stand alone, and the agent that is asked for it."""

    text: str
    agent: str


@dataclass(frozen=True, slots=True)
class Clarification:
    """Which of two agents is meant, as it is put to the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What is asked in effect: the message, or what it asks together with the question before it, when it replies to a
    clarification (`replied`). `meant` are the agents that such a reply names. When it names none and is no question of its
    own, it stands behind the question as `aside`, and `between` are the two agents that are asked unless it tells the
    router more."""

    question: str
    replied: bool = False
    meant: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Routing:
    """The router's decision. No routes: none of the agents holds the answer. Every need's agent is in `routes`. With a
    `clarification` there are no needs: `routes` are the two agents of whom one is meant. `found` are passages that the
    router's own search found for needs, each its agent's `candidates` at most, so that nobody searches for them again."""

    routes: tuple[Route, ...]
    needs: tuple[Need, ...]
    clarification: Clarification | None = None
    found: Mapping[Need, Sequence[Passage]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one need retrieved, best first. `searched` is False where the search failed and the agent answers all the same."""

    need: Need
    passages: tuple[Passage, ...]
    searched: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written, with the cost. `model` is None for what the desk says of itself; `cited` are the passages of the
    sources, by their ordinals; `groundedness` is the part of the answer's statements that they support, in [0, 1], once
    the citations are settled."""

    text: str
    sources: tuple[Source, ...] = ()
    usage: Usage | None = None
    model: str | None = None
    cited: Mapping[int, Passage] = field(default_factory=dict)
    groundedness: float | None = None


class TurnState(TypedDict, total=False):
    """LangGraph's state of one turn. `evidence` is gathered from parallel retrievals; `decisions_cost` is there when a
    model may decide."""

    conversation: Conversation
    settled: Settled
    decisions_cost: Usage
    standalone_question: str
    routing: Routing
    evidence: Annotated[list[Evidence], operator.add]
    draft: Draft


class Recorder(Protocol):
    """Where nodes write what the turn's followers see. Nothing here waits."""

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None: ...

    def sources_found(self, sources: Sequence[Source]) -> None:
        """All sources cited so far."""
        ...

    def delta(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class TurnContext:
    """LangGraph's runtime context: who asks what, of whom, and where the words go. `agents` are those that `reader` may
    ask. `before` are the messages before the question where they were read already, as many as are recalled. `stored` is done
    once the turn is stored; without it, it is."""

    question: Message
    answer: Message
    agents: tuple[Agent, ...]
    chosen: tuple[str, ...]
    recorder: Recorder
    reader: Reader
    before: Sequence[Message] | None = None
    stored: asyncio.Future[None] | None = field(default=None, compare=False, repr=False)

    async def until_stored(self) -> None:
        """To be awaited before a model is asked, which costs: until it is stored, a turn may still come to nothing, and
        this raises CancelledError then."""
        if self.stored is None:
            return
        if not self.stored.done():
            await asyncio.wait([self.stored])
        self.stored.result()
