"""WebSocket frames (RFC 6455): uvicorn's protocol, held to what a server on the open network needs.

    uvicorn.run("server:app", ws=Frames, …)

What it adds: whoever is refused is told why before the connection goes, also when more is on its way; text that is not
UTF-8 ends its own connection quietly; a handshake that cannot be read is answered; and what a peer can make the server
keep for it is bounded. It touches the private side of uvicorn's class: tests/graph/test_frames.py holds it.
"""

import asyncio
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame
from websockets.protocol import OPEN

from graph.sockets import MAX_MESSAGE_BYTES

LINGER = 2.0
"""Seconds for a peer to read why it was cut off, and to go."""
MAX_FRAGMENTS = 1_024
"""Of one message. Empty ones would add nothing to its size, and go on for ever."""
BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 25\r\n"
    b"Connection: close\r\n\r\nInvalid WebSocket request"
)


class _Inbox:
    """What came and was not received yet, for one reader: what uvicorn needs of an asyncio.Queue, which is 3 KB when it is
    empty."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[ASGIReceiveEvent] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def empty(self) -> bool:
        return not self._messages

    async def get(self) -> ASGIReceiveEvent:
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._messages.pop(0)


class Frames(WebSocketsSansIOProtocol):
    """One connection, from its handshake on."""

    _owed: bytes = b""
    """The pong to the last ping that came while the peer did not read. RFC 6455 § 5.5.3 lets go of those before."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.queue = cast("asyncio.Queue[ASGIReceiveEvent]", _Inbox())
        self.conn.max_message_size = MAX_MESSAGE_BYTES
        self.conn.available_extensions = None  # compression costs more than it saves on deltas

    def data_received(self, data: bytes) -> None:
        if self.disconnected:
            return  # was cut off, and is given the time to see why
        super().data_received(data)
        if not self.handshake_initiated:  # the head comes whole, so it could not be read
            self.handshake_initiated = self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()) or BAD_REQUEST)
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "Too many fragments")

    def send_receive_event_to_app(self) -> None:
        if self.handshake_complete:
            # Nobody reads these headers any more, and a socket may stay open for hours. The parser holds them, too.
            for said in (self.request, self.response):
                said.headers.clear()
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_DATA, "Text must be UTF-8")
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        pongs = self.conn.data_to_send()
        if not pongs:
            return  # they went with an earlier ping of the same read
        if self.writable.is_set() or self.conn.state is not OPEN:
            self.transport.write(b"".join(pongs))
        else:
            self._owed = pongs[-1]

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._owed and self.conn.state is OPEN:
            self.transport.write(self._owed)
        self._owed = b""

    def handle_parser_exception(self) -> None:
        """To close with something unread would reset the connection, and the peer might not see why: so what still
        comes is read, and dropped, until the peer goes."""
        close = self.conn.close_sent
        assert close is not None  # noqa: S101 – for the type checker: it was set where the connection was failed
        self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.stop_keepalive()
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_sent = True
        self.disconnected = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.close_timer is None:
            self.close_timer = self.loop.call_later(LINGER, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """A peer that has not answered a ping, nor read what is there for it, will not read why either."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _fail(self, code: CloseCode, reason: str) -> None:
        """RFC 6455 § 7.1.7."""
        self.frames = []
        self.conn.fail(code, reason)
        if self.conn.close_sent is not None:
            self.handle_parser_exception()
