"""What no client means to send over a WebSocket, made from a seed, and what the server may make of it.

    case = malformed(7, token)
    assert wrong_with(case, await exchange("127.0.0.1", 8001, case)) is None

The same number makes the same bytes, masks aside.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.graph.malformed import MASKED, OTHERS, QUERIES, RAW_VALUES, SCRAPS, VALUES
from tests.graph.raw_sockets import (
    ABNORMAL,
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    PROTOCOL,
    TEXT,
    RawSocket,
    close_frame,
    frame,
    read_head,
)

SEED = "answerdesk sockets"
CLOSES = {1002, 1007, 1009, 4400, 4401, 4403, 4406, 4409, 4429}
"""What RFC 6455 and the protocol say to what is wrong. None of them blames the server."""
SPOKEN = {"connection_ack", "pong", "next", "error", "complete"}
SENTINEL = {"type": "ping", "payload": {"after": "all of it"}}
KEY = HANDSHAKE[2]
TOKENS: tuple[Any, ...] = ("", "Bearer", "Bearer a.b.c.d.e", "\ud800", "é", "e" * 9_000, 7, None, [], {}, "Basic YTpi")
HEADS: tuple[bytes, ...] = (
    b"Sec-WebSocket-Version: 8", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: short", b"Sec-WebSocket-Key: \xff",
    b"Sec-WebSocket-Protocol: ,,;", b"Sec-WebSocket-Protocol: graphql-ws", b"Sec-WebSocket-Protocol: \xff\xfe",
    b"Sec-WebSocket-Protocol: a b", b"Sec-WebSocket-Extensions: permessage-deflate; a=\"", b"Upgrade: h2c", b"Upgrade: ,",
    b"Sec-WebSocket-Extensions: permessage-deflate", b"Connection: close", b"Connection: @", b"Origin: http://[::", b"Origin: \xff",
    b"Cookie: " + b"x" * 9_000, b"Content-Length: 0", b"Content-Length: 7", b"Transfer-Encoding: chunked", b"X: \x80", b"X:",
    b"Authorization: Bearer \xff", b"Expect: 100-continue", b"Host: \xff", b"X-Forwarded-For: '", *[b"X-%d: y" % n for n in range(9)],
)  # fmt: skip
TARGETS = (b"/graphql", b"/graphql/", b"/graphql?query={__typename}", b"/", b"/api/v1/chat/sessions", b"/gr\xc3\xa4ph", b"/%ff",
           b"http://[::/graphql", b"*", b"/graphql?%ff", b"/" + b"x" * 9_000)  # fmt: skip


@dataclass
class Case:
    """`head` are the handshake's lines, `sent` is what follows it. `loose` says that a frame may be left unfinished, so
    that nothing can be asked afterwards and the client leaves in the middle; `closed` that the client closes properly
    itself, with `codes` that may come back."""

    number: int
    kind: str
    head: bytes = b""
    sent: bytes = b""
    loose: bool = False
    codes: set[int] = field(default_factory=set)

    @property
    def plain(self) -> bool:
        """That the handshake is an ordinary one."""
        return self.head == ORDINARY


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is the handshake's, None without an answer. `code` is the close's, None where the server went on."""

    status: int | None
    code: int | None
    messages: list[Any]


ORDINARY = "\r\n".join(
    ["GET /graphql HTTP/1.1", "Host: x", *HANDSHAKE, f"Sec-WebSocket-Protocol: {PROTOCOL}", "", ""]
).encode()
Make = Callable[[Random, Case, str], None]


def malformed(number: int, token: str) -> Case:
    random = Random(f"{SEED}/{number}")
    make = random.choice(KINDS)
    case = Case(number, make.__name__.strip("_"), ORDINARY)
    make(random, case, token)
    return case


# ---------------------------------------------------------------- pieces


def _init(random: Random, token: str) -> bytes:
    """Most cases get past the initialisation, signed in or not."""
    payload = random.choice((None, {}, {"authorization": f"Bearer {token}"}, {"token": token}))
    return frame(json.dumps({"type": "connection_init", "payload": payload})) if random.random() < 0.8 else b""


def _subscribe(random: Random, **members: Any) -> dict[str, Any]:
    variables = {
        name: random.choice(VALUES) for name in ("n", "id", "first", "after", "t", "r", "i") if random.random() < 0.5
    }
    payload = {
        "query": random.choice(QUERIES),
        "variables": variables,
        "operationName": random.choice((None, "A", "B")),
    }
    return {"id": random.choice("abc"), "type": "subscribe", "payload": payload, **members}


def _message(random: Random) -> dict[str, Any]:
    return random.choice((
        _subscribe(random), _subscribe(random), {"type": "ping", "payload": {"a": 1}}, {"type": "pong"},
        {"id": random.choice("abc"), "type": "complete"}, {"type": "connection_init"},
    ))  # fmt: skip


def _json(message: Any) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode(errors="replace")


def _fragments(random: Random, data: bytes, opcode: int = TEXT) -> bytes:
    """A message in pieces, with control frames between them."""
    cuts = sorted(random.choices(range(len(data) + 1), k=random.choice((1, 2, 5, 30))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    sent = b""
    for number, piece in enumerate(pieces):
        sent += frame(piece, CONTINUATION if number else opcode, fin=number == len(pieces) - 1)
        if random.random() < 0.2 and number < len(pieces) - 1:
            sent += frame(random.randbytes(random.choice((0, 4, 125))), random.choice((PING, PONG)))
    return sent


# ---------------------------------------------------------------- kinds


def _noise(random: Random, case: Case, token: str) -> None:
    case.sent = _init(random, token) + random.randbytes(random.choice((1, 2, 9, 60, 3_000)))
    case.loose = True


def _cut(random: Random, case: Case, token: str) -> None:
    whole = _init(random, token) + b"".join(frame(_json(_message(random))) for _ in range(3))
    case.sent, case.loose = whole[: random.randrange(len(whole))], True


def _flipped_frames(random: Random, case: Case, token: str) -> None:
    sent = bytearray(_init(random, token) + frame(_json(_message(random))) + frame(_json(_message(random))))
    for _ in range(random.randint(1, 4)):
        sent[random.randrange(len(sent))] = random.randrange(256)
    case.sent, case.loose = bytes(sent), True


def _http_again(random: Random, case: Case, token: str) -> None:
    case.sent = random.choice(
        (ORDINARY, b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\n")
    )
    case.loose = True


def _broken_frames(random: Random, case: Case, token: str) -> None:
    broken = random.choice((
        frame("{}", masked=False), frame("{}", reserved=random.randint(1, 7)), frame("{}", random.choice((3, 4, 5, 6, 7))),
        frame("", random.choice((11, 12, 13, 14, 15))), frame("{}", CONTINUATION), frame("{", fin=False) + frame("}"),
        frame("", random.choice((PING, PONG, CLOSE)), fin=False), frame("x" * 126, random.choice((PING, PONG, CLOSE))),
        frame("{", fin=False) + close_frame(), b"\x81\xff" + b"\xff" * 8,
    ))  # fmt: skip
    case.sent = _init(random, token) + broken + random.choice((b"", frame("{}"), random.randbytes(70_000)))


def _broken_text(random: Random, case: Case, token: str) -> None:
    text = bytearray(_json(_message(random)))
    for _ in range(random.randint(1, 3)):
        text[random.randrange(len(text))] = random.choice((0xC0, 0xC3, 0xE2, 0xED, 0xF5, 0xFF, 0x80, 0xBF))
    data = bytes(text)
    case.sent = _init(random, token) + random.choice((frame(data), _fragments(random, data)))


def _broken_json(random: Random, case: Case, token: str) -> None:
    text = json.dumps(_message(random))
    value = random.choice(RAW_VALUES)
    data = random.choice((
        text[: random.randrange(len(text))].encode(), (text + random.choice("]}x,")).encode(), b"", b" ", b"\xef\xbb\xbf" + text.encode(),
        b'{"type": "ping", "payload": {"a": ' + value + b"}}", b'{"type": ' + value + b"}",
        b'{"id": "a", "type": "subscribe", "payload": {"query": "{ __typename }", "variables": ' + value + b"}}",
    ))  # fmt: skip
    case.sent = _init(random, token) + random.choice((frame(data), _fragments(random, data)))


def _binary(random: Random, case: Case, token: str) -> None:
    data = random.choice((_json(_message(random)), random.randbytes(50), b""))
    case.sent = _init(random, token) + random.choice((frame(data, BINARY), _fragments(random, data, BINARY)))


def _wrong_shapes(random: Random, case: Case, token: str) -> None:
    message: Any = _message(random)
    for _ in range(random.randint(1, 2)):
        name, value = random.choice(("id", "type", "payload", "unknown")), random.choice(VALUES)
        if isinstance(payload := message.get("payload"), dict) and random.random() < 0.6:
            inside = random.choice(("query", "variables", "operationName", "extensions", "documentId", "token"))
            message["payload"] = {**payload, inside: value}
        else:
            message[name] = value
    message = random.choice((message, message, message, [message], random.choice(VALUES)))
    case.sent = _init(random, token) + frame(json.dumps(message))


def _persisted(random: Random, case: Case, token: str) -> None:
    known = {"version": random.choice((1, 1, 2, "1", None)), "sha256Hash": random.choice((*VALUES, "0" * 64))}
    members = {
        "extensions": {"persistedQuery": random.choice((known, known, *VALUES))},
        "documentId": random.choice((None, *VALUES)),
    }
    query = random.choice(({}, {"query": random.choice(QUERIES)}, {"query": None}))
    case.sent = _init(random, token) + frame(
        json.dumps({"id": "a", "type": "subscribe", "payload": {**query, **members}})
    )


def _wrong_order(random: Random, case: Case, token: str) -> None:
    messages = [_message(random) for _ in range(random.randint(1, 8))]
    case.sent = b"".join(frame(json.dumps(message)) for message in messages)
    if random.random() < 0.5:
        case.sent = _init(random, token) + case.sent


def _misfitting(random: Random, case: Case, token: str) -> None:
    messages = [_subscribe(random, id=str(number)) for number in range(random.randint(1, 5))]
    case.sent = _init(random, token) + b"".join(frame(json.dumps(message)) for message in messages)


def _scraps(random: Random, case: Case, token: str) -> None:
    query = random.choice((" ", "")).join(random.choices(SCRAPS, k=random.choice((1, 5, 20, 200))))
    message = _subscribe(random, payload={"query": random.choice(("", "{ viewer ", "query Q($a: ID")) + query})
    case.sent = _init(random, token) + random.choice((frame, lambda data: _fragments(random, data)))(
        json.dumps(message).encode()
    )


def _tokens(random: Random, case: Case, token: str) -> None:
    name = random.choice(("authorization", "Authorization", "token", "accessToken", "access_token", "other"))
    kind = random.choice(("connection_init", "connection_init", "ping"))
    payload = {name: random.choice((*TOKENS, token[:-1], token, f"Bearer  {token} "))}
    case.sent = (_init(random, token) if kind == "ping" else b"") + frame(
        json.dumps({"type": kind, "payload": payload})
    )
    case.sent += frame(json.dumps(_message(random)))


def _oversized(random: Random, case: Case, token: str) -> None:
    size = random.choice((65_500, 65_537, 100_000, 300_000, 1_048_576))
    data = random.choice((b"x", b"[", b'{"a":', b"\xff", b"{a ")) * size
    data = random.choice((data[:size], b'{"type": "ping", "payload": {"a": "' + data[:size] + b'"}}'))
    cuts = (frame(data), frame(data, PING), frame(b"", announced=random.choice((2**62, 65_537))),
            b"".join(frame(data[at : at + 9_000], CONTINUATION if at else TEXT, fin=False) for at in range(0, len(data), 9_000)),
            frame("", fin=False) + frame("", CONTINUATION, fin=False) * 1_500)  # fmt: skip
    case.sent = _init(random, token) + random.choice(cuts)
    case.loose = not case.sent.endswith(data[-1:]) or size < 65_537  # some stay below the limit, and open


def _control(random: Random, case: Case, token: str) -> None:
    """Pings and pongs nobody asked for, and then a close, which is answered with its code where it has a good one."""
    for _ in range(random.choice((1, 5, 200))):
        case.sent += frame(random.randbytes(random.choice((0, 4, 125))), random.choice((PING, PONG)))
    code = random.choice((None, 0, 999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 65_535))
    reason = random.choice((b"", b"bye", b"\xff", b"\xc3", b"x" * 123))
    case.sent = _init(random, token) + case.sent
    case.sent += random.choice((close_frame(code, reason), close_frame(code, reason), frame(b"\x03", CLOSE), b""))
    case.codes = {1005 if code is None else code}


def _flood(random: Random, case: Case, token: str) -> None:
    message = _subscribe(random)
    case.sent = _init(random, token)
    case.sent += b"".join(
        frame(json.dumps({**message, "id": str(number)})) for number in range(random.choice((20, 150)))
    )


def _handshake(random: Random, case: Case, token: str) -> None:
    lines = [
        b"GET " + random.choice((TARGETS[0], *TARGETS)) + b" HTTP/1.1",
        b"Host: x",
        *(line.encode() for line in HANDSHAKE),
    ]
    lines.append(f"Sec-WebSocket-Protocol: {PROTOCOL}".encode())
    for _ in range(random.choice((0, 0, 1, 2))):
        del lines[random.randrange(1, len(lines))]
    lines += random.sample(HEADS, random.randint(0, 3)) + [
        name + b": " + value for name, value in random.sample(OTHERS, 1)
    ]
    if random.random() < 0.1:
        lines += [b"X-%d: y" % number for number in range(200)]
    if random.random() < 0.1:
        lines[0] = random.choice(
            (b"POST /graphql HTTP/1.1", b"GET /graphql HTTP/1.0", b"GET /graphql HTTP/2.0", b"HEAD /graphql HTTP/1.1")
        )
    case.head = b"\r\n".join([*lines, b"", b""])
    case.sent, case.loose = frame(json.dumps({"type": "connection_init"})), True


KINDS: tuple[Make, ...] = (
    _noise, _cut, _flipped_frames, _http_again, _broken_frames, _broken_frames, _broken_text, _broken_json, _broken_json,
    _binary, _wrong_shapes, _wrong_shapes, _wrong_shapes, _persisted, _wrong_order, _wrong_order, _misfitting, _misfitting,
    _scraps, _tokens, _oversized, _control, _control, _flood, _handshake, _handshake,
)  # fmt: skip


# ---------------------------------------------------------------- sending them


async def exchange(host: str, port: int, case: Case) -> Outcome:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 24)
    try:
        writer.write(case.head)
        try:
            handshake = await read_head(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return Outcome(None, None, [])
        if handshake.status != 101:
            return Outcome(handshake.status, None, [])
        raw = RawSocket(reader, writer, handshake)
        await raw.send(case.sent)
        await raw.say(SENTINEL)
        if case.loose:
            with suppress(OSError):
                writer.write_eof()
        return await _outcome(raw, case)
    finally:
        writer.transport.abort()


async def _outcome(raw: RawSocket, case: Case) -> Outcome:
    messages: list[Any] = []
    try:
        while True:
            opcode, payload = await raw.read_frame()
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                return Outcome(101, code, messages)
            if opcode == TEXT:
                messages.append(json.loads(payload))
                if messages[-1] == {**SENTINEL, "type": "pong"}:
                    return Outcome(101, None, messages)
    except (asyncio.IncompleteReadError, ConnectionError):
        return Outcome(101, ABNORMAL, messages)


def wrong_with(case: Case, outcome: Outcome) -> str | None:
    """What the server may not do, in words."""
    if outcome.status is None:
        return None if not case.plain else "no answer to the handshake"
    if case.plain and outcome.status != 101:
        return f"status {outcome.status}"
    if outcome.status >= 500 and outcome.status != 505:
        return f"status {outcome.status}"
    left = case.loose and outcome.code == ABNORMAL
    if outcome.code is not None and not left and outcome.code not in CLOSES | case.codes:
        return f"close {outcome.code}"
    for message in outcome.messages:
        if message["type"] not in SPOKEN:
            return f"a message of type {message['type']}"
        errors = message["payload"] if message["type"] == "error" else (message.get("payload") or {}).get("errors", ())
        for error in errors if message["type"] in ("next", "error") else ():
            if error["extensions"]["code"] in MASKED:
                return f"code {error['extensions']['code']}"
    return None
