"""Reading server-sent events, whichever way the network cuts them; held against the SDK's own decoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from providers.event_stream import EventReader, EventTooLongError

STREAMS = {
    "lf": b'data: {"a": 1}\n\ndata: {"b": "\xc3\xa9\xf0\x9f\x98\x80"}\n\ndata: [DONE]\n\n',
    "crlf": b'data: {"a": 1}\r\n\r\ndata: {"b": 2}\r\n\r\ndata: [DONE]\r\n\r\n',
    "cr": b'data: {"a": 1}\r\rdata: {"b": 2}\r\rdata: [DONE]\r\r\n',
    "mixed": b'data: {"a": 1}\r\n\ndata: {"b": 2}\n\r\ndata: 3\r\rdata: [DONE]\n\n',
    "comments": b': ping\n\ndata: {"a": 1}\n: ping\n\n:\n\n: \r\ndata: [DONE]\n\n',
    "other fields": b'event: message\ndata: {"a": 1}\nretry: 10\n\ndata:{"b": 2}\nunknown\n\n',
    "several lines": b'data: {"a":\ndata:  1}\n\ndata\n: x\ndata: [DONE]\n\n',
    "blank lines": b'\n\n\ndata: {"a": 1}\n\n\n\ndata: [DONE]\n\n',
    "unfinished": b'data: {"a": 1}\n\ndata: {"b": 2}\n',
}  # fmt: skip


def read(parts: list[bytes]) -> list[bytes]:
    reader = EventReader()
    return [data for part in parts for data in reader.feed(part)]


def as_the_sdk(stream: bytes) -> list[bytes]:
    return [event.data.encode() for event in SSEDecoder().iter_bytes(iter([stream])) if event.data]


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_the_sdks_wherever_a_read_ends(name: str) -> None:
    stream = STREAMS[name]
    expected = as_the_sdk(stream)
    assert expected
    assert read([stream]) == expected
    assert read([stream[n : n + 1] for n in range(len(stream))]) == expected
    for cut in range(len(stream) + 1):
        assert read([stream[:cut], stream[cut:]]) == expected


@given(st.binary(max_size=60).map(lambda b: bytes(b"\n\r:d at"[x % 7] for x in b)), st.integers(1, 9))
def test_any_bytes_are_read_as_the_sdk_reads_them(noise: bytes, size: int) -> None:
    stream = noise + b"\n\ndata: 1\n\n"
    assert read([stream[n : n + size] for n in range(0, len(stream), size)]) == as_the_sdk(stream)


PIECES = st.sampled_from(
    [b"data: 1\n\n", b"data: \n\n", b"data:  x\n\n", b"data: \r\n\n", b"data: 2\n", b"\n", b"\r", b"da", b": x\n\n"]
)


@given(st.lists(PIECES, max_size=8))
def test_reads_that_are_just_one_event_are_read_as_the_sdk_reads_them(parts: list[bytes]) -> None:
    parts = [*parts, b"\n\n", b"data: 1\n\n"]
    assert read(parts) == as_the_sdk(b"".join(parts))


def test_a_long_event_over_many_reads_is_joined_once() -> None:
    reader = EventReader()
    assert not any(reader.feed(b"data: " if not n else b"x" * 100) for n in range(2_000))
    assert reader.feed(b"\n\n") == [b"x" * 199_900]


@pytest.mark.parametrize("line", [b"data: xxxx", b"data: xxxx\n", b"data\n", b": xxxxxxxxx", b"data: x\r"], ids=repr)
def test_an_event_that_never_ends_is_refused(line: bytes) -> None:
    reader = EventReader(longest=1_000)
    with pytest.raises(EventTooLongError):
        all(reader.feed(line) == [] for _ in range(1_000))


def test_events_and_comments_that_end_do_not_add_up() -> None:
    reader = EventReader(longest=100)
    events = [data for _ in range(1_000) for data in reader.feed(b": ping\n\nevent: x\n\ndata: 1\n\n")]
    assert events == [b"1"] * 1_000
