"""What the stores take and give, beside the domain's own things."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.model import Message, Route, Source, Turn, TurnError, TurnStatus, Usage, User


@dataclass(frozen=True, slots=True)
class Credentials:
    user: User
    password_hash: str


@dataclass(frozen=True, slots=True)
class RefreshedLogin:
    user: User
    login_id: str


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """What is noted of a chat's messages up to one of them, as JSON. `version` says who can read that. It can be thrown
    away: it is made of the messages alone."""

    up_to_message_id: int
    version: int
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BegunTurn:
    """`created` is False when the client message id had claimed this turn before. `answer` exists (empty) from the
    beginning. `before` are the messages before the question, as `History.recent_messages` gives them; None where they
    were not read."""

    turn: Turn
    user_message: Message
    answer: Message
    created: bool
    before: Sequence[Message] | None = None


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a turn is asked for with. `client_message_id` claims it. `admit` is called once before anything new is
    stored, and what it raises refuses the request: whoever only attaches is not counted. With `enqueue` the turn waits,
    QUEUED, behind those of its chat that have not ended; without, such a chat is busy. Of a turn that runs at once, up to
    `recall` messages before its question are read in the same transaction, when it is not 0. `written` is told, in the
    event loop, of a new turn that is to run at once while that is committed: it may still come to nothing."""

    lease: timedelta
    client_message_id: str | None = None
    enqueue: bool = False
    admit: Callable[[], Awaitable[None]] | None = None
    recall: int = 0
    written: Callable[[BegunTurn], None] | None = None


@dataclass(frozen=True, slots=True)
class PromotedTurn:
    """A turn that was QUEUED and now runs. `username` is its user's, who says which agents may be asked."""

    begun: BegunTurn
    username: str


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """What a running turn has produced so far. `timeline` is `domain.replay`'s compact order of events. No sources
    (None) means: those that are stored already."""

    text: str
    timeline: str
    standalone_question: str | None
    routes: tuple[Route, ...]
    sources: tuple[Source, ...] | None


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """How a turn ended."""

    status: TurnStatus
    progress: TurnProgress
    usage: Usage | None
    error: TurnError | None
    model: str | None = None
    first_token_at: datetime | None = None
    groundedness: float | None = None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """All that is needed to replay a turn's events. `answer` carries its sources."""

    turn: Turn
    user_message: Message
    answer: Message
    timeline: str
