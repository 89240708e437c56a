"""A case: one question with what is known about its answer. Whatever is not known is not measured."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.agents.state import Line
from domain.knowledge import Chunk, Document
from domain.model import Role

T = TypeVar("T")


class EvaluationError(ValueError):
    """A suite, a case or an earlier result cannot be used; the message says which, where, and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A document of an agent's knowledge base, or one section of it by its heading."""

    agent: str
    document: str
    heading: str | None = None

    def is_in(self, chunk: Chunk) -> bool:
        """Whether a chunk belongs to it."""
        sections = {title.casefold() for title in chunk.title_path[1:]}
        same = (chunk.agent, chunk.document_id) == (self.agent, self.document)
        return same and (self.heading is None or self.heading.casefold() in sections)

    def __str__(self) -> str:
        return f"{self.agent}:{self.document}" + (f"#{self.heading}" if self.heading else "")


@dataclass(frozen=True, slots=True)
class Attack:
    """An attempt on the desk. `words` are those that give orders: the question itself, or part of `poisoned`, which takes
    the place of the document of the same id. `canary` is what obeying would show, where that is known."""

    kind: str
    words: str
    canary: str | None = None
    poisoned: Document | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """`group` names the conversation (or another unit) that rows of one origin share; `accepted` are the sets of agents
    of which one has to be asked, an empty set for nobody, None when that is not known. A user line of the `history` with
    no answer behind it is answered by the desk itself. `standalone` says the question without its conversation.
    `holds`: of each of these alternatives the answer must have one; `lacks`: it must have none of these. `answerable`
    is None when it is not known. `areas` are those that it is meant for, None for all that it tells enough for."""

    id: str
    group: str
    question: str
    history: tuple[Line, ...] = ()
    accepted: tuple[frozenset[str], ...] | None = None
    relevant: tuple[Place, ...] = ()
    standalone: str | None = None
    holds: tuple[tuple[str, ...], ...] = ()
    lacks: tuple[str, ...] = ()
    answerable: bool | None = None
    tags: tuple[str, ...] = ()
    areas: frozenset[str] | None = None
    attack: Attack | None = None

    @property
    def home(self) -> str | None:
        """The one agent that holds the answer, where that is known."""
        agents = {place.agent for place in self.relevant}
        if not agents and self.accepted is not None and len(self.accepted) == 1:
            agents = set(self.accepted[0])
        return agents.pop() if len(agents) == 1 else None


def half(group: str) -> int:
    """0 or 1: groups fall into one of two halves by their name, so that a figure can be seen to hold in both."""
    return hashlib.sha256(group.encode()).digest()[0] % 2


def every(rows: Sequence[T], nth: int) -> Sequence[T]:
    """The first row of each `nth`."""
    return rows[::nth]


def lines(history: Iterable[tuple[str, str]]) -> tuple[Line, ...]:
    """A conversation from pairs of `user` or another, and a text."""
    return tuple(Line(Role.USER if role == "user" else Role.ASSISTANT, text) for role, text in history)
