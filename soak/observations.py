"""What one run saw: what clients were told, what the model was asked, when workers were killed, what is stored.

Times are in seconds of the monotonic clock, but for `StoredTurn.ended_at`, which is Unix time as the server wrote it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

ABOUT = 5.0
"""Seconds for which a stall is remembered."""
LAST = ("turn_completed", "turn_ended")


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a client got it. `said` is what the event says, in one form for all transports: the text of a
    delta, and of the last event the message's, whose id is `message_id`."""

    seq: int
    kind: str
    turn_id: int
    said: str
    at: float
    status: str = ""
    message_id: int = 0

    @property
    def told(self) -> tuple[str, str, str]:
        return self.kind, self.said, self.status


@dataclass(slots=True)
class Attachment:
    """One connection of a follower: the cursor that it asked for, and what came on it."""

    transport: str
    after: int
    seen: list[Seen] = field(default_factory=list)


@dataclass(slots=True)
class Follower:
    """One reader of a turn, over all its connections. `left` is one that went for good; `silent` counts the
    connections on which nothing came for too long."""

    name: str
    attachments: list[Attachment] = field(default_factory=list)
    left: bool = False
    silent: int = 0
    refusals: list[str] = field(default_factory=list)

    @property
    def cursor(self) -> int:
        return max((attachment.seen[-1].seq for attachment in self.attachments if attachment.seen), default=0)

    @property
    def last(self) -> Seen | None:
        seen = self.attachments[-1].seen if self.attachments else []
        return seen[-1] if seen and seen[-1].kind in LAST else None


@dataclass(slots=True)
class Ask:
    """One message that a client sent, however often; or one answer that it asked for anew: `again` is the ask that was
    interrupted. `calm` is one that nothing disturbed."""

    key: str
    chat_id: int
    question: str
    begun: float = 0.0
    again: "Ask | None" = None
    followers: list[Follower] = field(default_factory=list)
    turn_id: int | None = None
    stop_asked: bool = False
    calm: bool = False

    def seen(self) -> Iterator[tuple[Follower, Attachment, Seen]]:
        for follower in self.followers:
            for attachment in follower.attachments:
                for seen in attachment.seen:
                    yield follower, attachment, seen


@dataclass(slots=True)
class Call:
    """One request to the model, about the question of `key`. `ended` is when its answer ended; `aborted`, that the worker went away before."""

    key: str
    said: str
    begun: float = 0.0
    ended: float = 0.0
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """One turn as its rows say. `replay` is what the server tells of it in the end, from its first event on."""

    id: int
    chat_id: int
    key: str | None
    status: str
    leased: bool
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    ended_at: float | None
    replay: tuple[Seen, ...] = ()


@dataclass(slots=True)
class Observed:
    """Everything that the checker gets. `listed` holds each chat's messages as the API lists them: (turn's id, role,
    text); `wall` is Unix time minus the monotonic clock; `stalls` are times, and how long a small request took then."""

    asks: list[Ask] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    stored: list[StoredTurn] = field(default_factory=list)
    listed: dict[int, list[tuple[int, str, str]]] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)
    wall: float = 0.0

    def stalled(self, at: float) -> float:
        """The longest that a small request took about then, in seconds: how far this machine is behind."""
        return max((took for ended, took in self.stalls if ended - took - 1 < at < ended + ABOUT), default=0.0)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of docs/PROTOCOL.md, with the turn (or its key) and the evidence."""

    rule: str
    turn: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.turn}: {self.evidence}"
