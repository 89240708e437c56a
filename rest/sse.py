"""A turn's events as server-sent events. docs/PROTOCOL.md states what is on the wire, and what it guarantees."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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
from rest.route import EVENT_STREAM
from rest.shapes import encode, message_shape, route_shapes, source_shapes, turn_error_shape

HEARTBEAT = b":\n\n"
AT_ONCE = 256
"""Events that are rendered and sent without letting others run: the replay of a long turn has thousands."""
_LINE_ENDS = tuple((c.encode(), b"\\u%04x" % ord(c)) for c in "\u0085\u2028\u2029")
"""No line ends for SSE, but for much that splits text into lines (Python's str.splitlines does)."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
RECONNECT_AFTER = 1_000
"""Milliseconds after which the clients of a server that stops come back: to another one, or to the one that follows."""
_log = structlog.get_logger()


class EventStream(Response):
    """Sends batches of events as they come, a comment after each `heartbeat` seconds of silence, and ends with them.

    It holds no more than the batch in hand: a slow client is waited for, and the turn log keeps the rest. When the
    client goes, `batches` is closed; the turn goes on. When `batches` fails, the stream ends before the turn's last
    event, and a comment names the code. `place` is given back at the end.
    """

    media_type = EVENT_STREAM

    def __init__(
        self,
        batches: AsyncGenerator[Sequence[TurnEvent], None],
        catalog: AgentCatalog,
        heartbeat: float,
        place: AbstractContextManager[object] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._batches = batches
        self._catalog = catalog
        self._heartbeat = heartbeat
        self._place = place or nullcontext()
        self._sent_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        beating = asyncio.create_task(self._beat(send))
        leaving = asyncio.create_task(_wait_until_gone(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, beating, leaving):
                task.cancel()
            await asyncio.wait({writing, beating, leaving})
        if not writing.cancelled():
            writing.result()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        try:
            async with aclosing(self._batches) as batches:
                async for batch in batches:
                    for start in range(0, len(batch), AT_ONCE):
                        if start:
                            await asyncio.sleep(0)
                        piece = b"".join([encode_event(e, self._catalog) for e in batch[start : start + AT_ONCE]])
                        await self._send(send, piece)
        except DeskError as failure:
            await self._send(send, _closing(failure.code))
        except Exception as failure:
            _log.error("stream_failed", exc_info=failure)
            await self._send(send, _closing(ErrorCode.INTERNAL))

    async def _beat(self, send: Send) -> None:
        """Runs beside the writer. Both send whole frames only, so it does not matter whose comes first."""
        now = asyncio.get_running_loop().time
        self._sent_at = now()
        while True:
            await asyncio.sleep(self._sent_at + self._heartbeat - now())
            if now() - self._sent_at >= self._heartbeat:
                await self._send(send, HEARTBEAT)

    async def _send(self, send: Send, frames: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": frames, "more_body": True})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
