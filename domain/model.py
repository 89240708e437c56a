"""The things Answerdesk keeps and speaks of, as frozen data. Ids are integers; times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import DeskError, ErrorCode


class Role(StrEnum):
    """Who wrote a message."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"


class TurnStatus(StrEnum):
    """QUEUED while it waits for the turn before it in its chat, if it does; then RUNNING; then exactly one of the
    others for ever."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def ended(self) -> bool:
        return self not in (TurnStatus.QUEUED, TurnStatus.RUNNING)


class OnBusy(StrEnum):
    """What becomes of a question while its chat answers another: refused, answered when its turn comes, or answered
    at once instead of what runs and waits there, which is stopped."""

    REJECT = "REJECT"
    ENQUEUE = "ENQUEUE"
    INTERRUPT = "INTERRUPT"


class Rating(StrEnum):
    """What the viewer thinks of an answer."""

    UP = "UP"
    DOWN = "DOWN"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class User:
    """A registered person."""

    id: int
    username: str
    email: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Viewer:
    """The signed-in user of one request or socket. Only authentication makes one."""

    user_id: int
    username: str
    login_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ChatSession:
    """One conversation. `updated_at` is the time of its last activity."""

    id: int
    title: str
    created_at: datetime
    updated_at: datetime
    active_turn_id: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range [start, end) in characters (code points) of a text."""

    start: int
    end: int

    def moved(self, by: int) -> "Span":
        return Span(self.start + by, self.end + by)

    def trimmed(self, text: str) -> "Span":
        """Without the white space at either end of what it is of that text."""
        words = text[self.start : self.end]
        return Span(self.start + len(words) - len(words.lstrip()), self.start + len(words.rstrip()))


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that an answer cites. `ordinal` is the n of its [n] marker, counted from 1 by first use. `spans` are the
    sentences of the answer that cite it, and `document_spans`, one for each of them, the characters of the document's
    text (`DocumentText`) that say so, None where that is not known. `flagged` says that something in the passage spoke
    to the assistant instead of its readers, and was withheld."""

    message_id: int
    ordinal: int
    agent: str
    document_id: str
    title: str
    url: str | None
    excerpt: str
    score: float
    spans: tuple[Span, ...] = ()
    document_spans: tuple[Span | None, ...] = ()
    flagged: bool = False

    def __post_init__(self) -> None:
        cited = len(self.spans)
        if len(self.document_spans) != cited:
            object.__setattr__(self, "document_spans", (*self.document_spans, *(None,) * cited)[:cited])

    @property
    def id(self) -> str:
        """Known before the source is stored, so that an event and the stored row name the same thing."""
        return f"{self.message_id}-{self.ordinal}"


@dataclass(frozen=True, slots=True)
class Message:
    """One side of a turn. An answer's text is what has been written so far while its turn runs."""

    id: int
    chat_id: int
    turn_id: int
    role: Role
    text: str
    created_at: datetime
    rating: Rating = Rating.NONE
    sources: tuple[Source, ...] = ()


class RouteMethod(StrEnum):
    """Who decided that an agent is asked: the embedded router, a language model, the client by naming it, or the user in
    reply to the desk's question which of two agents is meant (REPLY). CLARIFICATION: nobody yet, and that is the question."""

    EMBEDDED = "EMBEDDED"
    MODEL = "MODEL"
    CLIENT = "CLIENT"
    CLARIFICATION = "CLARIFICATION"
    REPLY = "REPLY"

    @classmethod
    def _missing_(cls, value: object) -> "RouteMethod":
        """What another release calls its own way of deciding."""
        return cls.EMBEDDED


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """Who would have been asked next. `confidence` is on the scale of its route's."""

    agent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Route:
    """Why an agent was asked. `confidence` is in [0, 1]. There is no runner-up where nobody else was weighed."""

    agent: str
    confidence: float
    reason: str
    method: RouteMethod = RouteMethod.EMBEDDED
    runner_up: RunnerUp | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a turn cost, in the model's tokens."""

    prompt_tokens: int
    completion_tokens: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@dataclass(frozen=True, slots=True)
class TurnError:
    """Why a turn did not answer. `retry_after`, in seconds, is how long the service that failed asks to be left alone,
    where it says so."""

    code: ErrorCode
    message: str
    retryable: bool
    retry_after: int | None = None

    @classmethod
    def of(cls, error: DeskError) -> "TurnError":
        return cls(error.code, error.message, error.retryable, error.details.get("retry_after"))


SERVER_STOPPED = TurnError(ErrorCode.INTERNAL, "The server stopped while answering.", retryable=True)
"""Of a turn that is INTERRUPTED."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message through to its final answer. `agents` names those that the client asked for; none leaves the
    choice to the router. `groundedness` is the part of what the answer states that its sources support, in [0, 1], None
    of one that states nothing or was not checked."""

    id: int
    chat_id: int
    status: TurnStatus
    created_at: datetime
    standalone_question: str | None = None
    routes: tuple[Route, ...] = ()
    usage: Usage | None = None
    error: TurnError | None = None
    ended_at: datetime | None = None
    agents: tuple[str, ...] = ()
    groundedness: float | None = None
