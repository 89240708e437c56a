"""Turn events as bytes, for logs outside the process: one letter for the type, then the event as JSON.

The JSON has the dataclass's own field names. Who reads ignores fields that it does not know, and fills those that are
missing with their defaults, so workers of two releases can share a log.
"""

from dataclasses import replace
from datetime import UTC

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnEvent, TurnStarted

_LETTERS: dict[type[TurnEvent], bytes] = {
    TurnStarted: b"s",
    RouteChosen: b"r",
    SourcesFound: b"f",
    AnswerDelta: b"d",
    TurnCompleted: b"c",
    TurnEnded: b"e",
}
_READERS: dict[bytes, TypeAdapter[TurnEvent]] = {letter: TypeAdapter(kind) for kind, letter in _LETTERS.items()}


def encode(event: TurnEvent) -> bytes:
    """Raises ValueError for what JSON cannot hold: a lone surrogate, an integer beyond 64 bits."""
    try:
        return _LETTERS[type(event)] + orjson.dumps(event)
    except TypeError as failure:  # orjson's JSONEncodeError is one
        raise ValueError(f"event {event.seq} of turn {event.turn_id} cannot be written: {failure}") from failure


def decode(data: bytes) -> TurnEvent:
    """Exactly the event that was encoded. Raises ValueError for anything else."""
    if data[:1] == b"d":  # a hundred times as frequent as all others
        try:
            fields = orjson.loads(data[1:])
            return AnswerDelta(fields["seq"], fields["turn_id"], fields["text"])
        except (KeyError, TypeError, ValueError) as failure:
            raise ValueError(f"this is no event: {data[:80]!r}") from failure
    try:
        event = _READERS[data[:1]].validate_json(data[1:])
    except (KeyError, ValidationError) as failure:
        raise ValueError(f"this is no event: {data[:80]!r}") from failure
    match event:
        case TurnStarted():
            message = event.user_message
            return replace(event, user_message=replace(message, created_at=message.created_at.astimezone(UTC)))
        case TurnCompleted() | TurnEnded():
            message = event.message
            return replace(event, message=replace(message, created_at=message.created_at.astimezone(UTC)))
    return event
