"""The event stream as an ASGI application by itself: silence, slowness, failures, clients that go."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.agents.catalog import Agent, AgentCatalog
from domain.errors import DatabaseUnavailable, ErrorCode, Unauthenticated
from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnEvent, TurnStarted
from domain.model import Message, Role, Route, RouteMethod, RunnerUp, Source, Span, TurnError, TurnStatus
from rest.sse import EventStream, encode_event
from tests.rest.event_frames import read_frame, read_frames

CATALOG = AgentCatalog((Agent("pricing", "Pricing", "Plans and prices", Path()),))
NOW = datetime(2026, 11, 22, 16, 0, 0, 123456, UTC)
SOURCE = Source(2, 1, "pricing", "plans", "Plans", None, "Nano: $9", 0.5, (Span(0, 4),))
SOURCE_DATA = {
    "id": "2-1",
    "ordinal": 1,
    "agent": "pricing",
    "document_id": "plans",
    "title": "Plans",
    "url": None,
    "excerpt": "Nano: $9",
    "score": 0.5,
    "spans": [{"start": 0, "end": 4}],
    "document_spans": [None],
    "flagged": False,
}
ANSWER = Message(2, 1, 7, Role.ASSISTANT, "$9 [1]", NOW, sources=(SOURCE,))
ANSWER_DATA = {
    "id": 2,
    "role": "ASSISTANT",
    "text": "$9 [1]",
    "created_at": "2026-11-22T16:00:00.123456Z",
    "turn_id": 7,
    "rating": "NONE",
    "sources": [SOURCE_DATA],
}

Batches = AsyncGenerator[Sequence[TurnEvent], None]


class Client:
    """The other side of one exchange. `received` grows; `leave` hangs up."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.received.append(message)
        self._changed.set()

    def leave(self) -> None:
        self._gone.set()

    async def has(self, content: bytes) -> None:
        while content not in self.body:
            self._changed.clear()
            await self._changed.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.received)

    @property
    def complete(self) -> bool:
        return not self.received[-1].get("more_body", True)


def delta(seq: int, text: str = "word ") -> AnswerDelta:
    return AnswerDelta(seq, 7, text)


async def run(batches: Batches, client: Client, heartbeat: float = 15) -> None:
    await EventStream(batches, CATALOG, heartbeat)({"type": "http"}, client.receive, client.send)


@pytest.mark.parametrize(
    ("event", "name", "data"),
    [
        (
            TurnStarted(1, 7, Message(1, 1, 7, Role.USER, "Nano?", NOW)),
            "turn_started",
            {"user_message": {**ANSWER_DATA, "id": 1, "role": "USER", "text": "Nano?", "sources": []}},
        ),
        (
            RouteChosen(
                2,
                7,
                (
                    Route("pricing", 0.9, "prices", runner_up=RunnerUp("gone", 0.05)),
                    Route("gone", 0.1, "was there once", RouteMethod.MODEL),
                ),
                "Nano?",
            ),
            "route_chosen",
            {
                "routes": [
                    {
                        "agent": {"name": "pricing", "title": "Pricing", "description": "Plans and prices"},
                        "confidence": 0.9,
                        "reason": "prices",
                        "method": "EMBEDDED",
                        "runner_up": {
                            "agent": {"name": "gone", "title": "gone", "description": ""},
                            "confidence": 0.05,
                        },
                    },
                    {
                        "agent": {"name": "gone", "title": "gone", "description": ""},
                        "confidence": 0.1,
                        "reason": "was there once",
                        "method": "MODEL",
                        "runner_up": None,
                    },
                ],
                "standalone_question": "Nano?",
            },
        ),
        (SourcesFound(3, 7, (SOURCE,)), "sources_found", {"sources": [SOURCE_DATA]}),
        (delta(4, "é\r\n\u2028\x85\u2029"), "answer_delta", {"text": "é\r\n\u2028\x85\u2029"}),
        (TurnCompleted(5, 7, ANSWER), "turn_completed", {"message": ANSWER_DATA}),
        (
            TurnEnded(5, 7, TurnStatus.FAILED, ANSWER, TurnError(ErrorCode.MODEL_UNAVAILABLE, "Away.", True)),
            "turn_ended",
            {
                "status": "FAILED",
                "message": ANSWER_DATA,
                "error": {"code": "MODEL_UNAVAILABLE", "message": "Away.", "retryable": True, "retry_after": None},
            },
        ),
        (
            TurnEnded(5, 7, TurnStatus.STOPPED, ANSWER, None),
            "turn_ended",
            {"status": "STOPPED", "message": ANSWER_DATA, "error": None},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_event_is_one_frame_with_graphqls_fields(event: TurnEvent, name: str, data: dict[str, Any]) -> None:
    encoded = encode_event(event, CATALOG)
    assert encoded.endswith(b"\n\n")
    assert len(encoded.decode().splitlines()) == 4, "whatever a client takes for a line end"
    frame = read_frame(encoded[:-2])
    assert (frame.seq, frame.name) == (event.seq, name)
    assert frame.data == {"seq": event.seq, "turn_id": 7, **data}


async def test_headers_then_events_then_the_end() -> None:
    async def batches() -> Batches:
        yield [delta(1), delta(2)]
        yield [delta(3)]

    client = Client()
    await run(batches(), client)
    start = client.received[0]
    assert start["status"] == 200
    assert dict(start["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache, no-transform",
        b"x-accel-buffering": b"no",
    }
    assert [frame.seq for frame in read_frames(client.body)] == [1, 2, 3]
    assert client.complete


async def test_silence_is_filled_with_comments_and_words_are_not() -> None:
    speak = asyncio.Event()

    async def batches() -> Batches:
        yield [delta(1)]
        await speak.wait()
        yield [delta(2)]

    client = Client()
    running = asyncio.create_task(run(batches(), client, heartbeat=0.05))
    await client.has(b"\n\n:\n\n:\n\n")
    speak.set()
    await running
    assert [frame.seq for frame in read_frames(client.body)] == [1, 2]

    busy = Client()

    async def talkative() -> Batches:
        for seq in range(1, 9):
            await asyncio.sleep(0.02)
            yield [delta(seq)]

    await run(talkative(), busy, heartbeat=1)
    assert b":\n" not in busy.body.replace(b": ", b"")


async def test_a_client_that_goes_closes_the_batches_and_gets_nothing_more() -> None:
    closed = asyncio.Event()

    async def batches() -> Batches:
        try:
            yield [delta(1)]
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # closing may wait, as it does with Redis
            closed.set()

    client = Client()
    running = asyncio.create_task(run(batches(), client))
    await client.has(b"id: 1\n")
    client.leave()
    await running
    assert closed.is_set()
    assert not client.complete


async def test_a_client_that_goes_while_it_is_waited_for_closes_the_batches_too() -> None:
    closed = asyncio.Event()
    stuck = asyncio.Event()

    class Slow(Client):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message.get("body"):
                stuck.set()
                await asyncio.Event().wait()

    async def batches() -> Batches:
        try:
            yield [delta(1)]
        finally:
            closed.set()

    client = Slow()
    running = asyncio.create_task(run(batches(), client))
    await stuck.wait()
    client.leave()
    await running
    assert closed.is_set()


async def test_a_server_that_cancels_closes_the_batches_too() -> None:
    closed = asyncio.Event()

    async def batches() -> Batches:
        try:
            yield [delta(1)]
            await asyncio.Event().wait()
        finally:
            closed.set()

    client = Client()
    running = asyncio.create_task(run(batches(), client))
    await client.has(b"id: 1\n")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed.is_set()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Unauthenticated(), b"UNAUTHENTICATED"),
        (DatabaseUnavailable(), b"DATABASE_UNAVAILABLE"),
        (KeyError("k"), b"INTERNAL"),
    ],
)
async def test_a_stream_that_fails_ends_with_a_comment(failure: Exception, code: bytes) -> None:
    async def batches() -> Batches:
        yield [delta(1)]
        raise failure

    client = Client()
    await run(batches(), client)
    assert client.body.endswith(b"\n\n: closed: " + code + b"\n\n")
    assert [frame.seq for frame in read_frames(client.body)] == [1]
    assert client.complete
