"""What is stored tells a turn's events again: the same ones, with the same seq."""

from datetime import UTC, datetime

import pytest

from domain.errors import ErrorCode
from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnStarted
from domain.model import Message, Role, Route, Source, Span, Turn, TurnError, TurnStatus
from domain.records import StoredTurn
from domain.replay import replay

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def stored(status: TurnStatus, timeline: str = "s r -1 5 -2 3", error: TurnError | None = None) -> StoredTurn:
    sources = tuple(Source(2, n, "pricing", f"d{n}", "T", None, "…", 1.0, (Span(0, 5),)) for n in (1, 2))
    return StoredTurn(
        Turn(9, 1, status, NOW, "what?", (Route("pricing", 0.9, "because"),), error=error),
        Message(1, 1, 9, Role.USER, "what?", NOW),
        Message(2, 1, 9, Role.ASSISTANT, "Hällo 🙂!!"[:8], NOW, sources=sources),
        timeline,
    )


def test_a_completed_turn_is_told_whole() -> None:
    events = replay(stored(TurnStatus.COMPLETED))
    kinds = [TurnStarted, RouteChosen, SourcesFound, AnswerDelta, SourcesFound, AnswerDelta, TurnCompleted]
    assert [type(event) for event in events] == kinds
    assert [event.seq for event in events] == list(range(1, 8))
    deltas = [event.text for event in events if isinstance(event, AnswerDelta)]
    assert deltas == ["Hällo", " 🙂!"]
    found = [event.sources for event in events if isinstance(event, SourcesFound)]
    assert [len(sources) for sources in found] == [1, 2]
    assert found[0][0].spans == ()
    assert isinstance(events[-1], TurnCompleted)
    assert events[-1].message.sources[0].spans == (Span(0, 5),)


@pytest.mark.parametrize("after", range(9))
def test_a_cursor_leaves_out_exactly_what_was_seen(after: int) -> None:
    whole = stored(TurnStatus.COMPLETED)
    assert replay(whole, after) == tuple(e for e in replay(whole) if e.seq > after)


def test_a_failed_turn_ends_with_its_error() -> None:
    error = TurnError(ErrorCode.MODEL_UNAVAILABLE, "gone", True)
    last = replay(stored(TurnStatus.FAILED, "s r 8", error))[-1]
    assert isinstance(last, TurnEnded)
    assert (last.seq, last.status, last.error) == (4, TurnStatus.FAILED, error)


def test_a_running_turn_has_no_end_yet() -> None:
    assert [type(e) for e in replay(stored(TurnStatus.RUNNING, "s r 3"))] == [TurnStarted, RouteChosen, AnswerDelta]


@pytest.mark.parametrize("after", [3, 4, 90])
def test_the_end_of_an_interrupted_turn_reaches_cursors_that_are_ahead_of_what_was_saved(after: int) -> None:
    (last,) = replay(stored(TurnStatus.INTERRUPTED, "s r 3"), after)
    assert isinstance(last, TurnEnded)
    assert last.seq == after + 1
