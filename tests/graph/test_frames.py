"""What the server does with WebSocket frames, below GraphQL: the ends that RFC 6455 asks for, and bounds."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from frames import MAX_FRAGMENTS, Frames
from tests.graph.desk import Announcing, Desk
from tests.graph.raw_sockets import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame, opened, read_head

PINGING = frame('{"type": "ping"}')
PROTOCOL_ERRORS = {
    "not masked": frame("{}", masked=False),
    "reserved bits": frame("{}", reserved=4),
    "a reserved data opcode": frame("{}", 3),
    "a reserved control opcode": frame("", 11),
    "a continuation of nothing": frame("{}", CONTINUATION),
    "a message within a message": frame("{", fin=False) + frame("{}"),
    "a ping in fragments": frame("", PING, fin=False),
    "a long ping": frame("x" * 126, PING),
    "a long close": close_frame(1000, b"x" * 124),
    "a close code of one byte": frame(b"\x03", CLOSE),
    "a close code that is never sent": close_frame(1005),
    "a close code out of range": close_frame(999),
    "a close within a message": frame("{", fin=False) + close_frame(1000),
}


@pytest.mark.parametrize("name", PROTOCOL_ERRORS)
async def test_frames_that_are_none_close_the_socket_with_1002(desk: Desk, name: str) -> None:
    for more in (b"", PINGING * 20_000):
        async with opened(desk.websocket) as raw:
            await raw.send(PROTOCOL_ERRORS[name] + more)
            assert (await raw.closed([]))[0] == 1002


async def test_a_close_reason_that_is_not_utf_8_closes_the_socket_with_1007(desk: Desk) -> None:
    async with opened(desk.websocket) as raw:
        await raw.send(close_frame(1000, b"\xff"))
        assert (await raw.closed())[0] == 1007


@pytest.mark.parametrize("code", [None, 1000, 1001, 3000, 4999])
async def test_a_close_is_answered_with_its_code(desk: Desk, code: int | None) -> None:
    async with opened(desk.websocket) as raw:
        await raw.send(PINGING + close_frame(code))
        assert (await raw.closed([]))[0] == (1005 if code is None else code)


async def test_whatever_comes_with_text_that_is_no_utf_8_nothing_is_answered_but_the_close(desk: Desk) -> None:
    for more, codes in ((PINGING, {1007}), (frame(b"\xfe"), {1007}), (close_frame(), {1007, 1000})):
        async with opened(desk.websocket) as raw:
            await raw.send(frame(b"\xff") + more)
            assert (await raw.closed())[0] in codes
    async with opened(desk.websocket) as raw:
        await raw.init()


async def test_a_message_in_endless_pieces_closes_the_socket_with_1009(desk: Desk) -> None:
    async with opened(desk.websocket) as raw:
        await raw.send(frame("", fin=False) + frame("", CONTINUATION, fin=False) * (MAX_FRAGMENTS - 2))
        await raw.send(frame('{"type": "ping"}', CONTINUATION))
        assert await raw.hear() == {"type": "pong"}
        await raw.send(frame("", fin=False) + frame("", CONTINUATION, fin=False) * 2 * MAX_FRAGMENTS)
        assert (await raw.closed())[0] == 1009


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Cookie: " + b"x" * 9_000, 431),
        (b"\r\n".join(b"X-%d: y" % number for number in range(200)), 431),
        (b"Content-Length: 3\r\n\r\nabc", 400),
        (b"Sec-WebSocket-Key: a second one", 400),
        (b"X: \x01", 400),
    ],
)
async def test_a_handshake_that_cannot_be_read_is_refused(desk: Desk, head: bytes, status: int) -> None:
    address = urlsplit(desk.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
        + head
        + b"\r\n\r\n"
    )
    assert (await read_head(reader)).status == status
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()


async def test_who_was_cut_off_and_does_not_go_is_dropped(desk: Desk) -> None:
    async with opened(desk.websocket) as raw:
        await raw.send(frame("", 3))
        async with asyncio.timeout(20):
            while True:
                try:
                    raw.writer.write(PINGING)
                    await raw.writer.drain()
                except ConnectionError:
                    break
                await asyncio.sleep(0.05)


# ---------------------------------------------------------------- peers that are gone


@asynccontextmanager
async def pinging_server(left: "asyncio.Queue[int]", every: float | None = 0.05) -> AsyncIterator[str]:
    """Asks its peers every so many seconds whether they are there, and talks without end to those that say a word."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        peer = WebSocket(scope, receive, send)
        await peer.accept()
        try:
            await peer.receive_text()
            while True:
                await peer.send_text("x" * 60_000)
                await asyncio.sleep(0)
        except WebSocketDisconnect as end:
            left.put_nowait(end.code)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)  # its connections have it too
        config = uvicorn.Config(
            app, log_config=None, ws=Frames, ws_ping_interval=every, ws_ping_timeout=every, lifespan="off"
        )
        server = Announcing(config)
        serving = asyncio.create_task(server.serve([listener]))
        await server.up.wait()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        await serving


async def test_a_peer_that_answers_no_ping_is_given_up() -> None:
    left: asyncio.Queue[int] = asyncio.Queue()
    async with pinging_server(left) as url, opened(url) as raw:
        assert (await raw.read_frame())[0] == PING
        assert (await raw.closed())[0] == 1011
        async with asyncio.timeout(10):
            await left.get()


async def test_a_peer_that_reads_nothing_is_given_up_with_what_was_kept_for_it() -> None:
    left: asyncio.Queue[int] = asyncio.Queue()
    async with pinging_server(left) as url, opened(url) as raw:
        raw.reader._limit = 4_096  # type: ignore[attr-defined]
        await raw.send(frame("go", TEXT))
        async with asyncio.timeout(10):
            await left.get()


async def test_a_peer_that_answers_stays() -> None:
    left: asyncio.Queue[int] = asyncio.Queue()
    async with pinging_server(left) as url, opened(url) as raw:
        for _ in range(8):
            opcode, payload = await raw.read_frame()
            assert opcode == PING
            await raw.send(frame(payload, PONG))
        assert left.empty()
        await raw.send(frame(b"", BINARY) + close_frame())


async def test_pings_of_a_peer_that_does_not_read_pile_up_no_answers() -> None:
    """It gets the answer to the last of them when it reads again: RFC 6455 § 5.5.3."""
    number = 20_000
    async with pinging_server(asyncio.Queue(), every=None) as url, opened(url) as raw:
        raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.reader._limit = 4_096  # type: ignore[attr-defined]  # or it reads ahead
        for start in range(0, number, 1_000):
            await raw.send(b"".join(b"\x89\xe4" + bytes(4) + b"%0100d" % ping for ping in range(start, start + 1_000)))
        answered = 0
        while True:
            opcode, payload = await raw.read_frame()
            assert opcode == PONG
            answered += 1
            if int(payload) == number - 1:
                break
        assert answered < number
