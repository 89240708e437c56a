"""The events of one turn, in the order of the turn log.

`seq` counts 1, 2, 3 … without a gap and is the cursor to resume from. The stream is
TurnStarted · RouteChosen · (SourcesFound | AnswerDelta)* · (TurnCompleted | TurnEnded);
docs/PROTOCOL.md states the rules.
"""

from dataclasses import dataclass

from domain.model import Message, Route, Source, TurnError, TurnStatus


@dataclass(frozen=True, slots=True)
class TurnStarted:
    seq: int
    turn_id: int
    user_message: Message


@dataclass(frozen=True, slots=True)
class RouteChosen:
    seq: int
    turn_id: int
    routes: tuple[Route, ...]
    standalone_question: str


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """All sources cited so far, in ordinal order: each event replaces the one before. It precedes the
    delta that holds the first marker of its newest source."""

    seq: int
    turn_id: int
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    seq: int
    turn_id: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The last event of a turn that answered. `message` holds the whole stored text."""

    seq: int
    turn_id: int
    message: Message


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The last event of a turn that did not: STOPPED, FAILED or INTERRUPTED, with what was written kept."""

    seq: int
    turn_id: int
    status: TurnStatus
    message: Message
    error: TurnError | None


TurnEvent = TurnStarted | RouteChosen | SourcesFound | AnswerDelta | TurnCompleted | TurnEnded
TERMINAL = (TurnCompleted, TurnEnded)
