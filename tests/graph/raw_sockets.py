"""A WebSocket client on a bare connection: it sends what it is told, whether RFC 6455 allows it or not.

async with opened(desk.websocket) as socket:
    await socket.send(frame(b"{", fin=False))
    assert await socket.closed() == (1002, "…")
"""

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PROTOCOL = "graphql-transport-ws"
WITHIN = 30.0
"""Seconds for what should come at once, on a busy machine."""
HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    "Sec-WebSocket-Version: 13",
)
ABNORMAL = 1006
"""What a browser reports when a connection ends without a close frame (RFC 6455 § 7.1.5)."""


def frame(
    payload: bytes | str = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    announced: int | None = None,
) -> bytes:
    """RFC 6455 § 5.2. `reserved` are the three bits after FIN; `announced` is a length that is not the payload's."""
    data = payload.encode() if isinstance(payload, str) else payload
    length = len(data) if announced is None else announced
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 65_536:
        head += struct.pack("!BH", mask_bit | 126, length)
    else:
        head += struct.pack("!BQ", mask_bit | 127, length)
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + xored(data, mask)


def xored(data: bytes, mask: bytes) -> bytes:
    pad = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(b"" if code is None else struct.pack("!H", code) + reason, CLOSE)


@dataclass(frozen=True, slots=True)
class Handshake:
    status: int
    headers: dict[str, str]
    """By lower-case names."""


class RawSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handshake: Handshake) -> None:
        self.reader, self.writer = reader, writer
        self.handshake = handshake

    async def send(self, data: bytes) -> None:
        """Bytes as they are. A server that has gone is no failure: what it said can still be read."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def say(self, message: Any) -> None:
        """One message of the protocol, or what stands for one."""
        await self.send(frame(message if isinstance(message, str | bytes) else json.dumps(message)))

    async def init(self, **payload: Any) -> None:
        await self.say({"type": "connection_init", "payload": payload or None})
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, query: str, variables: Any = None, id: str = "1", **members: Any) -> None:
        await self.say({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables, **members}})

    async def read_frame(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame. Raises IncompleteReadError at the end of the connection."""
        async with asyncio.timeout(WITHIN):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server masks nothing (RFC 6455 § 5.1)"
            assert first & 0x80, "nothing that this server sends is fragmented"
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def hear(self) -> Any:
        """The next message of the protocol. A close fails."""
        opcode, payload = await self.read_frame()
        while opcode in (PING, PONG):
            opcode, payload = await self.read_frame()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    async def hears_pong(self) -> None:
        """Asks whether the server is there, and fails when anything else comes before its answer."""
        await self.say({"type": "ping", "payload": {"are": "you there?"}})
        assert await self.hear() == {"type": "pong", "payload": {"are": "you there?"}}

    async def closed(self, dropping: list[Any] | None = None) -> tuple[int, str]:
        """The code and the reason of the server's close frame, or ABNORMAL without one. Messages before it are added
        to `dropping`, or fail."""
        try:
            while (got := await self.read_frame())[0] != CLOSE:
                if got[0] == TEXT:
                    assert dropping is not None, got
                    dropping.append(json.loads(got[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return ABNORMAL, ""
        await self.send(frame(got[1], CLOSE))
        with suppress(ConnectionError):
            assert await self.reader.read() == b"", "nothing follows a close frame"
        return (struct.unpack("!H", got[1][:2])[0], got[1][2:].decode()) if got[1] else (1005, "")


@asynccontextmanager
async def opened(
    url: str, protocols: Sequence[str] = (PROTOCOL,), headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[RawSocket]:
    """After the handshake, whatever came of it. `url` begins with ws:// or http://."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 24)
    try:
        lines = [f"Host: {address.netloc}", *HANDSHAKE]
        lines += [f"Sec-WebSocket-Protocol: {', '.join(protocols)}"] if protocols else []
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write("\r\n".join([f"GET {address.path} HTTP/1.1", *lines, "", ""]).encode())
        yield RawSocket(reader, writer, await read_head(reader))
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_head(reader: asyncio.StreamReader) -> Handshake:
    async with asyncio.timeout(WITHIN):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(":", 1) for line in head[1:] if line)
    return Handshake(int(head[0].split()[1]), {name.lower(): value.strip() for name, value in pairs})
