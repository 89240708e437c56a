"""A turn's events as server-sent events. docs/PROTOCOL.md states what is on the wire, and what it guarantees."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any

import structlog

from domain.agents.catalog import AgentCatalog
from domain.errors import DeskError, ErrorCode
from domain.events import (
    AnswerDelta,
    RouteChosen,
    SourcesFound,
    TurnCompleted,
    TurnEnded,
    TurnEvent,
    TurnStarted,
)
from live_body import LiveBody
from rest.route import EVENT_STREAM
from rest.shapes import encode, message_shape, route_shapes, source_shapes, turn_error_shape

HEARTBEAT = b":\n\n"
_LINE_ENDS = tuple((c.encode(), b"\\u%04x" % ord(c)) for c in "\u0085\u2028\u2029")
"""No line ends for SSE, but for much that splits text into lines (Python's str.splitlines does)."""
RECONNECT_AFTER = 1_000
"""Milliseconds after which the clients of a server that stops come back: to another one, or to the one that follows."""
_log = structlog.get_logger()


class EventStream(LiveBody):
    """Sends batches of events as they come, a comment after each `heartbeat` seconds of silence, and ends with them.

    A slow client is waited for, and the turn log keeps the rest. When the client goes, `batches` is closed; the turn
    goes on. When `batches` fails, the stream ends before the turn's last event, and a comment names the code.
    """

    def __init__(
        self,
        batches: AsyncGenerator[Sequence[TurnEvent], None],
        catalog: AgentCatalog,
        heartbeat: float,
        place: AbstractContextManager[object] | None = None,
    ) -> None:
        super().__init__(_frames(batches, catalog), EVENT_STREAM, HEARTBEAT, heartbeat, place)


async def _frames(
    batches: AsyncGenerator[Sequence[TurnEvent], None], catalog: AgentCatalog
) -> AsyncGenerator[bytes, None]:
    """What came at once is one piece."""
    try:
        async with aclosing(batches):
            async for batch in batches:
                yield b"".join([encode_event(event, catalog) for event in batch])
    except DeskError as failure:
        yield _closing(failure.code)
    except Exception as failure:
        _log.error("stream_failed", exc_info=failure)
        yield _closing(ErrorCode.INTERNAL)


def _closing(code: ErrorCode) -> bytes:
    retry = f"retry: {RECONNECT_AFTER}\n" if code is ErrorCode.SERVICE_UNAVAILABLE else ""
    return f"{retry}: closed: {code}\n\n".encode()


# ---------------------------------------------------------------- one event


def encode_event(event: TurnEvent, catalog: AgentCatalog) -> bytes:
    """One frame; `data` is one line, whichever line ends a client knows."""
    if type(event) is AnswerDelta:  # a hundred times as frequent as all others
        return _frame(event.seq, b"answer_delta", {"seq": event.seq, "turn_id": event.turn_id, "text": event.text})
    name, fields = _SHAPES[type(event)]
    return _frame(event.seq, name, {"seq": event.seq, "turn_id": event.turn_id, **fields(event, catalog)})


def _frame(seq: int, name: bytes, fields: dict[str, Any]) -> bytes:
    data = encode(fields)
    if not data.isascii():
        for raw, escaped in _LINE_ENDS:
            data = data.replace(raw, escaped)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, name, data)


def _turn_started(event: TurnStarted, catalog: AgentCatalog) -> dict[str, Any]:
    return {"user_message": message_shape(event.user_message)}


def _route_chosen(event: RouteChosen, catalog: AgentCatalog) -> dict[str, Any]:
    return {"routes": route_shapes(event.routes, catalog), "standalone_question": event.standalone_question}


def _sources_found(event: SourcesFound, catalog: AgentCatalog) -> dict[str, Any]:
    return {"sources": source_shapes(event.sources)}


def _turn_completed(event: TurnCompleted, catalog: AgentCatalog) -> dict[str, Any]:
    return {"message": message_shape(event.message)}


def _turn_ended(event: TurnEnded, catalog: AgentCatalog) -> dict[str, Any]:
    return {
        "status": event.status,
        "message": message_shape(event.message),
        "error": turn_error_shape(event.error),
    }


_SHAPES: Mapping[type, tuple[bytes, Callable[[Any, AgentCatalog], dict[str, Any]]]] = {
    TurnStarted: (b"turn_started", _turn_started),
    RouteChosen: (b"route_chosen", _route_chosen),
    SourcesFound: (b"sources_found", _sources_found),
    TurnCompleted: (b"turn_completed", _turn_completed),
    TurnEnded: (b"turn_ended", _turn_ended),
}
