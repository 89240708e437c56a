"""Requests for server-sent events that no client means to send, made from a seed: graphql-sse in both modes, and REST's.

    attempt = malformed_stream(7, place)
    assert wrong_with_attempt(attempt, Caller("127.0.0.1", 8001)) is None

The same number makes the same attempt. Most are one request; some are several in one packet, or leave in the middle of
what they get.
"""

import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.graph.malformed import (
    ACCEPTS,
    AUTHORIZATIONS,
    CONTENT_TYPES,
    JSON_TYPE,
    MASKED,
    METHODS,
    RAW_VALUES,
    SEED,
    VALUES,
    WITHIN,
    Answer,
    Case,
    Wire,
)

STREAM = b"text/event-stream"
NAME = "{ viewer { username } }"
RESUME = "subscription($turn: ID!, $after: Int) { resumeTurn(turnId: $turn, after: $after) { __typename seq } }"
SEND = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename seq } }"
LAST_EVENT_IDS = (b"", b"0", b"3", b"-1", b"1e3", b"9" * 400, b"\xb2", b"\xff", b"null", b"2147483648", b"999999999", b" 1", b"1, 2",
                  b"VHVybjox", b"%31")  # fmt: skip
TOKENS = (
    b"",
    b"x",
    b"x" * 43,
    b"x" * 8_000,
    b"\xff\xfe",
    b"null",
    b"a b",
    b"a,b",
    b"../..",
    b"%00",
    b"'",
    b"\xc3\xa9",
    b"=?utf-8?q?a?=",
)
OPERATION_IDS = (*VALUES, "a", "x" * 128, "x" * 129, " ", "\u2028", "a\r\nevent: next", "\ud7ff", 1, {"id": 1})
ADDRESSES = (b"operationId=", b"operationId", b"operationId=%00", b"operationId=%ff", b"operationId=a", b"operationId=%0d%0aa", b"token=",
             b"token=%ff", b"token=x&token=y", b"query=", b"query=%7B__typename%7D", b"extensions=1", b"&&=", b"%",
             b"extensions=%7B%22operationId%22:%22g%22%7D&query=%7B__typename%7D", b"variables={", b"operationId=" + b"x" * 9_000)  # fmt: skip
TURN_IDS = (b"0", b"-1", b"x", b"9" * 30, b"2147483648", b"%00", b"1/2", b"..", b"%C3%A9", b"1.5", b"")
STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


@dataclass(frozen=True, slots=True)
class Place:
    """What is there to be asked for: two users, a turn that has ended, and a stream of the first user's that is open."""

    token: str
    other_token: str
    reservation: str
    turn: str
    turn_id: int
    chat: str
    chat_id: int


@dataclass
class Attempt:
    """Requests, one after the other or, when there are several, in one packet. `read`: so many bytes, then it leaves."""

    number: int
    kind: str
    cases: list[Case] = field(default_factory=list)
    read: int | None = None

    def data(self) -> bytes:
        return b"".join(case.data() for case in self.cases)


class Maker:
    """Makes one attempt."""

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self.random = Random(f"{SEED}/streams/{number}")

    def make(self) -> Attempt:
        make = self.random.choice(KINDS)
        attempt = Attempt(self.number, make.__name__)
        made = make(self)
        attempt.cases = made if isinstance(made, list) else [made]
        if make in LEAVING:
            attempt.cases[0].headers.append((b"Connection", b"close"))
            attempt.read = self.random.choice((0, 1, 40, 200, 400, 700))
        return attempt

    def case(self, method: bytes = b"POST", accept: bytes = STREAM, **options: Any) -> Case:
        case = Case(self.number, "stream", method, **options)
        case.headers = [(b"Accept", accept), (b"Authorization", b"Bearer " + self.place.token.encode())]
        if case.body:
            case.headers.append((b"Content-Type", JSON_TYPE))
        return case

    def reserved(self, case: Case, token: bytes | None = None) -> Case:
        case.headers.append(
            (b"X-GraphQL-Event-Stream-Token", self.place.reservation.encode() if token is None else token)
        )
        return case

    def request(self, **members: Any) -> bytes:
        variables = {"turn": self.place.turn, "after": self.random.choice((0, 2, 99))}
        return json.dumps({"query": RESUME, "variables": variables, **members}).encode()

    def broken(self, body: bytes) -> bytes:
        data = bytearray(body)
        for _ in range(self.random.randint(1, 4)):
            data[self.random.randrange(len(data))] = self.random.randrange(256)
        raw = b'{"query": ' + self.random.choice(RAW_VALUES) + b"}"
        return self.random.choice((bytes(data), body[: self.random.randrange(1, len(body))], raw, b"[" + body + b"]"))

    def odd(self, case: Case) -> Case:
        """With headers that do not fit."""
        headers = dict(case.headers)
        values = {b"Accept": ACCEPTS, b"Authorization": AUTHORIZATIONS, b"Content-Type": CONTENT_TYPES,
                  b"Last-Event-ID": LAST_EVENT_IDS, b"Content-Encoding": (b"gzip", b"identity, br")}  # fmt: skip
        for name in self.random.sample(list(values), self.random.randint(1, 3)):
            headers[name] = self.random.choice(values[name])
        case.headers = list(headers.items())
        return case


# ---------------------------------------------------------------- graphql-sse, distinct connections


def distinct_body(make: Maker) -> Case:
    return make.case(body=make.broken(make.request()))


def distinct_headers(make: Maker) -> Case:
    return make.odd(make.case(body=make.request()))


def distinct_cursor(make: Maker) -> Case:
    case = make.case(body=make.request(variables={"turn": make.place.turn, "after": make.random.choice(VALUES)}))
    case.headers.append((b"Last-Event-ID", make.random.choice(LAST_EVENT_IDS)))
    return case


def distinct_address(make: Maker) -> Case:
    return make.case(b"GET", query=b"&".join(make.random.choices(ADDRESSES[7:], k=make.random.randint(1, 4))))


def distinct_message(make: Maker) -> Case:
    given = {"sessionId": make.place.chat, "text": make.random.choice(VALUES), "clientMessageId": "m"}
    return make.case(body=make.request(query=SEND, variables={"input": make.random.choice((given, *VALUES))}))


def distinct_left(make: Maker) -> Case:
    return make.case(body=make.request())


# ---------------------------------------------------------------- graphql-sse, single connection


def reserving(make: Maker) -> Case:
    case = make.case(b"PUT", accept=make.random.choice((*ACCEPTS, b"text/plain", b"*/*")))
    case.headers[1] = (b"Authorization", b"Bearer " + make.place.other_token.encode())
    case.body = make.random.choice((b"", b"{}", b"\xff" * 50))
    return make.odd(case) if make.random.random() < 0.3 else case


def strange_token(make: Maker) -> Case:
    method = make.random.choice((b"GET", b"POST", b"DELETE"))
    case = make.case(method, body=make.request(extensions={"operationId": "a"}) if method == b"POST" else b"")
    case.query = make.random.choice((b"", b"operationId=a", b"token=%ff", b"token=" + make.random.choice(TOKENS[1:3])))
    make.reserved(case, make.random.choice(TOKENS))
    if make.random.random() < 0.2:
        case.headers.append((b"X-GraphQL-Event-Stream-Token", make.random.choice(TOKENS)))
    return case


def anothers_token(make: Maker) -> Case:
    case = strange_token(make)
    case.headers = [pair for pair in case.headers if pair[0] != b"X-GraphQL-Event-Stream-Token"]
    case.headers[1] = (b"Authorization", b"Bearer " + make.place.other_token.encode())
    case.query = b""
    return make.reserved(case)


def operation(make: Maker) -> Case:
    members = {"query": make.random.choice((NAME, NAME, RESUME, "{ nothing }", "{", ""))}
    operation_id = make.random.choice((make.random.choice(OPERATION_IDS), f"o{make.number}"))
    body = make.request(extensions={"operationId": operation_id}, **members)
    if make.random.random() < 0.3:
        body = make.broken(body)
    case = make.case(accept=make.random.choice((b"*/*", b"*/*", JSON_TYPE, STREAM)), body=body)
    return make.reserved(make.odd(case) if make.random.random() < 0.3 else case)


def operation_address(make: Maker) -> Case:
    query = b"&".join([b"query={viewer{id}}", *make.random.choices(ADDRESSES, k=make.random.randint(1, 3))])
    return make.reserved(make.case(b"GET", accept=b"*/*", query=query))


def stopping(make: Maker) -> Case:
    query = b"&".join(make.random.choices(ADDRESSES, k=make.random.randint(0, 3)))
    return make.reserved(make.case(b"DELETE", accept=make.random.choice((b"*/*", STREAM)), query=query))


def second_reader(make: Maker) -> Case:
    return make.reserved(make.case(b"GET", accept=make.random.choice((STREAM, b"*/*", *ACCEPTS))))


def method(make: Maker) -> Case:
    case = make.case(make.random.choice((b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND")))
    return make.random.choice((case, make.reserved(case)))


def several(make: Maker) -> list[Case]:
    """In one packet; after the last, the server closes."""
    kinds = (distinct_body, distinct_left, operation, stopping, second_reader, strange_token, rest_cursor, reserving)
    cases = [make.random.choice(kinds)(make) for _ in range(make.random.randint(2, 5))]
    cases.append(make.case(b"GET", query=b"query={__typename}"))
    cases[-1].headers.append((b"Connection", b"close"))
    return cases


def cut(make: Maker) -> Case:
    case = make.random.choice((distinct_body, distinct_left, operation, stopping, rest_message, rest_cursor))(make)
    case.cut = make.random.randrange(1, len(case.data()))
    return case


# ---------------------------------------------------------------- REST


def rest_cursor(make: Maker) -> Case:
    turn = make.random.choice((b"%d" % make.place.turn_id, make.random.choice(TURN_IDS)))
    after = make.random.choice(
        (b"", b"after=", b"after=x", b"after=-1", b"after=%ff", b"after=" + b"9" * 30, b"after=2&after=3", b"x")
    )
    case = make.case(b"GET", path=b"/api/v1/chat/turns/" + turn + b"/events", query=after)
    case.headers.append((b"Last-Event-ID", make.random.choice(LAST_EVENT_IDS)))
    return case


def rest_headers(make: Maker) -> Case:
    return make.odd(make.case(b"GET", path=b"/api/v1/chat/turns/%d/events" % make.place.turn_id))


def rest_message(make: Maker) -> Case:
    message = {"chat_id": make.place.chat_id, "message": "x", "stream": True, "client_message_id": "r"}
    for name in make.random.sample(list(message), make.random.randint(1, 2)):
        message[name] = make.random.choice(VALUES)
    body = json.dumps(message).encode()
    if make.random.random() < 0.4:
        body = make.broken(body)
    case = make.case(path=make.random.choice((b"/api/v1/chat/message", b"/api/v1/chat/chat-lg")), body=body)
    return make.odd(case) if make.random.random() < 0.3 else case


def rest_method(make: Maker) -> Case:
    path = make.random.choice((b"/api/v1/chat/message", b"/api/v1/chat/turns/%d/events" % make.place.turn_id))
    return make.case(make.random.choice((*METHODS, b"GET" if path.endswith(b"message") else b"POST")), path=path)


def rest_left(make: Maker) -> Case:
    return make.case(b"GET", path=b"/api/v1/chat/turns/%d/events" % make.place.turn_id)


KINDS: tuple[Callable[[Maker], Case | list[Case]], ...] = (
    distinct_body, distinct_headers, distinct_cursor, distinct_address, distinct_message, distinct_left,
    reserving, strange_token, anothers_token, operation, operation, operation_address, stopping, second_reader, method,
    several, cut, rest_cursor, rest_headers, rest_message, rest_method, rest_left,
)  # fmt: skip
LEAVING = (distinct_left, rest_left)


def malformed_stream(number: int, place: Place) -> Attempt:
    return Maker(number, place).make()


class Caller:
    """Makes attempts: those of one request on a connection that is kept, the others on one of their own."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._wire = Wire(host, port)

    def close(self) -> None:
        self._wire.close()

    def make(self, attempt: Attempt) -> tuple[list[int], str | None]:
        """The statuses that came, and what is wrong with them, in words."""
        if attempt.read is None and len(attempt.cases) == 1:
            answer = self._wire.exchange(attempt.cases[0])
            return ([answer.status] if answer else []), _wrong_with(attempt.cases[0], answer)
        with socket.create_connection(self._address, timeout=WITHIN) as connection:
            connection.sendall(attempt.data())
            data = _received(connection, attempt.read)
        statuses = [int(status) for status in STATUS.findall(data)]
        return statuses, next((f"status {status}" for status in statuses if not _is_fine(status)), None)


def _received(connection: socket.socket, limit: int | None) -> bytes:
    """To the end, or until there are so many bytes."""
    data = b""
    try:
        while (limit is None or len(data) < limit) and (piece := connection.recv(65_536)):
            data += piece
    except ConnectionResetError:
        pass
    return data


def _is_fine(status: int) -> bool:
    return 200 <= status < 300 or 400 <= status < 500


def _wrong_with(case: Case, answer: Answer | None) -> str | None:
    if answer is None:
        return None if case.broken else "no answer"
    if not _is_fine(answer.status):
        return f"status {answer.status}"
    if case.method == b"HEAD" or case.broken:
        return None
    if answer.content_type.startswith("text/event-stream"):
        return "a CR in a stream" if b"\r" in answer.body else _masked(answer.body)
    if answer.status >= 400:
        told = json.loads(answer.body)
        codes = (
            [error["extensions"]["code"] for error in told["errors"]] if "errors" in told else [told["error"]["code"]]
        )
        return next((f"code {code}" for code in codes if code in MASKED), None)
    return _masked(answer.body)


def _masked(body: bytes) -> str | None:
    return next((f"code {code}" for code in MASKED if b'"code":"%b"' % code.encode() in body), None)
