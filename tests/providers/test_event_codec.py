"""Events survive their wire form exactly, whatever is in them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ErrorCode
from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnEvent, TurnStarted
from domain.model import Message, Rating, Role, Route, RouteMethod, RunnerUp, Source, Span, TurnError, TurnStatus
from providers.event_codec import decode, encode

ids = st.integers(1, 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
numbers = st.floats(allow_nan=False, allow_infinity=False)
spans = st.builds(Span, st.integers(0, 99), st.integers(0, 99))
sources = st.builds(
    Source, ids, ids, texts, texts, texts, st.none() | texts, texts, numbers, st.lists(spans, max_size=3).map(tuple)
)
times = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(fold=0))
messages = st.builds(
    Message,
    ids,
    ids,
    ids,
    st.sampled_from(Role),
    texts,
    times,
    st.sampled_from(Rating),
    st.lists(sources, max_size=3).map(tuple),
)
runners_up = st.none() | st.builds(RunnerUp, texts, numbers)
routes = st.builds(Route, texts, numbers, texts, st.sampled_from(RouteMethod), runners_up)
errors = st.builds(TurnError, st.sampled_from(ErrorCode), texts, st.booleans(), st.none() | st.integers(0, 2**31 - 1))
events = st.one_of(
    st.builds(TurnStarted, ids, ids, messages),
    st.builds(RouteChosen, ids, ids, st.lists(routes, max_size=3).map(tuple), texts),
    st.builds(SourcesFound, ids, ids, st.lists(sources, max_size=3).map(tuple)),
    st.builds(AnswerDelta, ids, ids, texts),
    st.builds(TurnCompleted, ids, ids, messages),
    st.builds(TurnEnded, ids, ids, st.sampled_from(TurnStatus), messages, st.none() | errors),
)
DELTA = AnswerDelta(7, 42, "naïve 👩🏽‍🚀 𠜎 \u2028 \x00 \U0010ffff")


@settings(deadline=None)
@given(events)
def test_an_event_comes_back_as_it_was(event: TurnEvent) -> None:
    back = decode(encode(event))
    assert back == event
    assert repr(back) == repr(event)  # the types inside too: enums, tuples, UTC


def test_a_delta_costs_little() -> None:
    assert decode(encode(DELTA)) == DELTA
    assert len(encode(replace(DELTA, text="plan "))) < 45


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="event 7 of turn 42 cannot be written"):
        encode(replace(DELTA, text="\ud800"))


def test_fields_of_another_release_do_no_harm() -> None:
    newer = encode(RouteChosen(2, 1, (), "q")).replace(b'"seq"', b'"later":[1],"seq"')
    assert decode(newer) == RouteChosen(2, 1, (), "q")
    message = Message(1, 2, 3, Role.USER, "t", datetime(2026, 11, 22, tzinfo=UTC))
    older = encode(TurnStarted(1, 3, message)).replace(b',"rating":"NONE"', b"")
    assert decode(older) == TurnStarted(1, 3, message)


def test_words_of_another_release_do_no_harm() -> None:
    route = encode(RouteChosen(2, 1, (Route("help", 0.5, "r"),), "q")).replace(b"EMBEDDED", b"ORACLE")
    assert decode(route) == RouteChosen(2, 1, (Route("help", 0.5, "r", RouteMethod.EMBEDDED),), "q")
    message = Message(1, 2, 3, Role.ASSISTANT, "t", datetime(2026, 11, 22, tzinfo=UTC))
    ended = TurnEnded(3, 1, TurnStatus.FAILED, message, TurnError(ErrorCode.INTERNAL, "m", True, 9))
    assert decode(encode(ended).replace(b"INTERNAL", b"TEAPOT")) == ended


@pytest.mark.parametrize("data", [b"", b"d", b"d[]", b'd{"seq":1}', b"x{}", b"s{}", b"c{", encode(DELTA)[:-1]])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no event"):
        decode(data)
