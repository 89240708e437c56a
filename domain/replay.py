"""A turn's events, told again from what is stored.

A timeline is the order in which a turn's events came, as words: `s` TurnStarted, `r` RouteChosen, `-n` SourcesFound
with the first n sources, `n` AnswerDelta of n characters. A word's place is its `seq`; the terminal event follows
from the turn's status. So the stored turn gives exactly the events that were sent, at a few bytes each.
"""

from collections.abc import Iterator
from dataclasses import replace

from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnEvent, TurnStarted
from domain.model import TurnStatus
from domain.records import StoredTurn

STARTED = "s"
ROUTED = "r"


def replay(stored: StoredTurn, after: int = 0) -> tuple[TurnEvent, ...]:
    """The events with seq > `after`, up to the last that is stored.

    A turn whose worker died may have been followed further than it was saved. Its end is told to every cursor, so that
    no follower waits for what is lost; the event's message holds the text that was kept."""
    events = tuple(_events(stored))
    rest = tuple(event for event in events if event.seq > after)
    if not rest and stored.turn.status is TurnStatus.INTERRUPTED:
        return (replace(events[-1], seq=after + 1),)
    return rest


def _events(stored: StoredTurn) -> Iterator[TurnEvent]:
    turn, text, written, seq = stored.turn, stored.answer.text, 0, 0
    for seq, word in enumerate(stored.timeline.split(), 1):
        if word == STARTED:
            yield TurnStarted(seq, turn.id, stored.user_message)
        elif word == ROUTED:
            yield RouteChosen(seq, turn.id, turn.routes, turn.standalone_question or "")
        elif word.startswith("-"):
            found = stored.answer.sources[: -int(word)]
            yield SourcesFound(seq, turn.id, tuple(replace(source, spans=()) for source in found))
        else:
            yield AnswerDelta(seq, turn.id, text[written : written + int(word)])
            written += int(word)
    if turn.status is TurnStatus.COMPLETED:
        yield TurnCompleted(seq + 1, turn.id, stored.answer)
    elif turn.status.ended:
        yield TurnEnded(seq + 1, turn.id, turn.status, stored.answer, turn.error)
