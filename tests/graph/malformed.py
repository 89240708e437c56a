"""Requests that no client means to send, made from a seed, and a connection that sends them byte by byte.

    wire = Wire("127.0.0.1", 8001)
    case = malformed(7, token)
    assert wrong_with(wire.exchange(case)) is None

The same number makes the same request.
"""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import BadStatusLine, HTTPResponse
from random import Random
from typing import Any

SEED = "answerdesk"
WITHIN = 60.0
MASKED = ("INTERNAL", "DATABASE_UNAVAILABLE", "SERVICE_UNAVAILABLE")
"""Codes that blame the server."""

JSON_TYPE = b"application/json"
QUERIES = (
    "{ __typename }",
    "{ viewer { id username } agents { name } }",
    "query($n: Int!) { sessions(first: $n) { edges { cursor node { id } } pageInfo { hasNextPage } } }",
    "query A($id: ID!) { session(id: $id) { id title } } query B($id: ID!) { messages(sessionId: $id) { edges { cursor } } }",
    "query($id: ID!) { node(id: $id) { __typename id ... on ChatSession { title } ...M } } fragment M on Message { text }",
    "query($first: Int, $after: String) { sessions(first: $first, after: $after, search: $after) { edges { cursor } } }",
    "mutation($id: ID!, $t: String!) { renameChat(sessionId: $id, title: $t) { id } }",
    "mutation($id: ID!, $r: Rating!) { rateMessage(messageId: $id, rating: $r, comment: null) { id } }",
    "mutation($t: String!) { refreshToken(refreshToken: $t) { accessToken } }",
    "subscription($id: ID!) { resumeTurn(turnId: $id, after: 3) { seq } }",
    "subscription($i: SendMessageInput!) { sendMessage(input: $i) { __typename seq } }",
)
NAMES = ("n", "id", "first", "after", "t", "r", "i", "input")
SCRAPS = ("{", "}", "(", ")", "[", "]", "...", "...F", "fragment F on Query", "query", "mutation", "subscription", "on",
          "viewer", "id", "__schema", "$a", ": Int = 1", "@skip(if: true)", "@x", '"', '"""', "\\u{110000}", "1e999", "-",
          "#", "\x00", "\ufeff", "\u2028", "é", "𝄞", "sessions(first: 99999999999)", "a:", "null", "{a:{a:1}}", "&", "!")  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, 0, -1, 2**31, 2**63, 2**64, 10**30, 1e308, 0.5, "", "x", "\x00", "é", "\U0001f3c3", "VHVybjox",
          "VHVybjo5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "Q2hhdFNlc3Npb246LTE=", "=", "%00", "x" * 3_000, [], {}, [[]], {"": 1},
          {"__proto__": {}}, {"sessionId": 1, "text": None})  # fmt: skip
RAW_VALUES = (b"NaN", b"-Infinity", b"1e999", b"01", b"1" * 5_000, b'"\\ud800"', b'"\\x"', b"'a'", b"{,}", b"[1,]",
              b"\xff", b'"\xc3"', b"[" * 2_000, b'{"a":' * 3_000, b"\x00", b"nul", b'"\n"', b"")  # fmt: skip
CONTENT_TYPES = (b"", b"application/json;", b"application/json; charset", b"application/json; charset=\xff",
                 b"application/json; charset*=utf-8''utf-8", b"application/json; charset*=x'", b"APPLICATION/JSON",
                 b"application/json, text/plain", b"application/graphql", b"text/plain", b"/", b";;;", b"a/b/c",
                 b'application/json; charset="utf-8', b"multipart/form-data; boundary=x", b"\x80", b"=?utf-8?q?a?=")  # fmt: skip
ACCEPTS = (b"", b"*/*", b"*", b"application/json;q=0", b"application/json;q=nan", b"application/json;q=-1", b"a/b", b",,;;",
           b"application/graphql-response+json;q=1e9, application/json", b"text/event-stream", b"text/html;level=\"a,b\"",
           b"\xff/\xff", b"*/*;q=0.00000001", b"application/*;q=inf", b"multipart/mixed", b"x/y," * 2_000)  # fmt: skip
AUTHORIZATIONS = (b"", b"Bearer", b"Bearer ", b"Bearer \xff\xfe", b"Basic YTpi", b"Bearer a.b.c.d.e", b"bearer " + b"e" * 5_000,
                  b"Bearer eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0....", b"Bearer null", b"Bearer a b", b"\x85")  # fmt: skip
OTHERS = ((b"Last-Event-ID", b"-1"), (b"Last-Event-ID", b"9" * 400), (b"Last-Event-ID", b"\xb2"), (b"Origin", b"null"),
          (b"Origin", b"http://[::"), (b"Origin", b"\xff"), (b"Content-Encoding", b"gzip"), (b"Content-Encoding", b"br, gzip"),
          (b"Host", b"\xff"), (b"X-Request-ID", b"a\tb"), (b"Access-Control-Request-Method", b"X"), (b"Cookie", b"a=b;;\xff"),
          (b"X-Forwarded-For", b"'"), (b"Upgrade", b"h2c"), (b"Expect", b"200-maybe"), (b"Accept-Language", b"\x80"))  # fmt: skip
METHODS = (b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE")
FRAMES = (b"POST /graphql HTTP/9.9\r\n", b"GET\r\n", b"\x16\x03\x01\x02\x00", b"POST /graphql HTTP/1.1\r\nno colon\r\n",
          b"POST  HTTP/1.1\r\n", b"POST /graphql HTTP/1.1\r\nContent-Length: -1\r\n", b"\r\n\r\n\x00",
          b"POST /graphql HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
          b"POST /graphql HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
          b"POST /graphql HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", b"GET /graphql\x00 HTTP/1.1\r\n")  # fmt: skip


@dataclass
class Case:
    """One request. `raw` stands for all of it where it is not even HTTP; `cut` sends so many bytes and no more."""

    number: int
    kind: str
    method: bytes = b"POST"
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    raw: bytes | None = None
    cut: int | None = None
    path: bytes = b"/graphql"

    @property
    def broken(self) -> bool:
        """That HTTP itself is: it may be refused without a word of GraphQL, or be left without an answer."""
        return self.raw is not None or self.cut is not None

    def data(self) -> bytes:
        if self.raw is not None:
            return self.raw + b"\r\n\r\n"
        target = self.path + (b"?" + self.query if self.query else b"")
        length = (
            [] if self.method in (b"GET", *METHODS) and not self.body else [(b"Content-Length", b"%d" % len(self.body))]
        )
        lines = [name + b": " + value for name, value in [(b"Host", b"127.0.0.1"), *self.headers, *length]]
        return b"\r\n".join([self.method + b" " + target + b" HTTP/1.1", *lines, b"", self.body])[: self.cut]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


def malformed(number: int, token: str) -> Case:
    random = Random(f"{SEED}/{number}")
    make = random.choice(KINDS)
    case = Case(number, make.__name__.strip("_"))
    headers = {
        b"Content-Type": JSON_TYPE,
        b"Accept": random.choice((b"*/*", JSON_TYPE, b"application/graphql-response+json")),
    }
    if random.random() < 0.5:
        headers[b"Authorization"] = b"Bearer " + token.encode()
    make(random, case, headers)
    case.headers = [*headers.items(), *case.headers]
    return case


def _request(random: Random) -> dict[str, Any]:
    variables = {name: random.choice(VALUES) for name in NAMES if random.random() < 0.5}
    return {"query": random.choice(QUERIES), "variables": variables, "operationName": random.choice((None, "A", "B"))}


def _noise(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.body = random.randbytes(random.choice((0, 1, 3, 50, 1_000)))


def _truncated(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    body = json.dumps(_request(random), ensure_ascii=False).encode()
    case.body = body[: random.randrange(len(body))]


def _flipped(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    body = bytearray(json.dumps(_request(random), ensure_ascii=False).encode())
    for _ in range(random.randint(1, 4)):
        body[random.randrange(len(body))] = random.randrange(256)
    case.body = bytes(body)


def _mistyped(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    members = _request(random)
    for name in random.sample(("query", "variables", "operationName", "extensions"), random.randint(1, 3)):
        members[name] = random.choice(VALUES)
    case.body = json.dumps(random.choice((members, members, [members], members["query"]))).encode()


def _misfitting(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.body = json.dumps(_request(random)).encode()


def _no_json(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    member, value = random.choice((b"query", b"variables", b"operationName", b"extensions")), random.choice(RAW_VALUES)
    nested = b'{"id": ' + value + b"}" if random.random() < 0.5 else value
    case.body = b'{"query": "{ __typename }", "' + member + b'": ' + nested + b"}"


def _scraps(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    document = random.choice((" ", "")).join(random.choices(SCRAPS, k=random.choice((1, 5, 20, 200))))
    case.body = json.dumps({"query": random.choice(("", "{ viewer ", "query Q($a: ID")) + document}).encode()


def _odd_headers(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.body = json.dumps({"query": random.choice(QUERIES[:2])}).encode()
    odd = {b"Content-Type": CONTENT_TYPES, b"Accept": ACCEPTS, b"Authorization": AUTHORIZATIONS}
    for name in random.sample(list(odd), random.randint(1, 3)):
        headers[name] = random.choice(odd[name])
    case.headers = random.sample(OTHERS, random.choice((0, 0, 1, 3)))
    if random.random() < 0.2:
        case.headers += [(b"Accept", random.choice(ACCEPTS)), (b"Content-Type", JSON_TYPE)]


def _address(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.method = b"GET"
    noise = bytes(byte for byte in random.randbytes(40) if 0x20 < byte < 0x7F and byte != ord("#"))
    parts = (b"query=%7B__typename%7D", b"query={viewer{id}}", b"query=%ff", b"query=", b"query", b"variables={", b"&&=",
             b"variables=[]", b"variables=%7B%22a%22:%22%ed%a0%80%22%7D", b"extensions=1", b"operationName=%00", b"%", noise,
             b"query=mutation%7Blogout%7D", b"variables=" + b"[" * 3_000, b"query=" + b"%7Ba" * 2_000)  # fmt: skip
    case.query = b"&".join(random.choices(parts, k=random.randint(1, 4)))


def _methods(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.method = random.choice(METHODS)
    case.body = random.choice((b"", b'{"query": "{ __typename }"}'))


def _large(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    filling = random.choice((b"x", b"[", b'{"a":', b"\xff", b"{a", b"#", b" ", b"a:b "))
    case.body = (
        b'{"query": "' + filling * (random.choice((60_000, 262_000, 300_000, 1_048_576)) // len(filling)) + b'"}'
    )


def _cut(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.body = json.dumps(_request(random)).encode()
    case.headers = [*headers.items()]
    case.cut = random.randrange(1, len(case.data()))
    case.headers = []


def _no_http(random: Random, case: Case, headers: dict[bytes, bytes]) -> None:
    case.raw = random.choice((*FRAMES, random.randbytes(60)))


KINDS: tuple[Callable[[Random, Case, dict[bytes, bytes]], None], ...] = (
    _noise, _truncated, _flipped, _mistyped, _mistyped, _misfitting, _misfitting, _no_json, _scraps, _scraps,
    _odd_headers, _odd_headers, _odd_headers, _address, _methods, _large, _cut, _no_http,
)  # fmt: skip


class Wire:
    """One connection after the other, each kept for as long as the server keeps it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def exchange(self, case: Case) -> Answer | None:
        """None when the server closed the connection without an answer, which only a broken case may be given."""
        if case.broken:
            self.close()
        kept = self._socket is not None
        try:
            return self._exchange(case)
        except (ConnectionError, BadStatusLine):
            self.close()
            if case.broken:
                return None
            if not kept:
                raise
            return self._exchange(case)  # the server had closed the old one
        finally:
            if case.broken:
                self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, case: Case) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=WITHIN)
        self._socket.sendall(case.data())
        if case.broken:
            self._socket.shutdown(socket.SHUT_WR)
        with HTTPResponse(self._socket, method=case.method.decode()) as response:
            response.begin()
            answer = Answer(response.status, response.headers.get("content-type", ""), response.read())
            if response.will_close:
                self.close()
        return answer


def wrong_with(case: Case, answer: Answer | None) -> str | None:
    """What the server may not do, in words."""
    if answer is None:
        return None if case.broken else "no answer"
    if not (200 <= answer.status < 300 or 400 <= answer.status < 500):
        return f"status {answer.status}"
    if case.method == b"HEAD" or case.broken or 200 < answer.status < 300:
        return None
    if answer.content_type.startswith(("text/event-stream", "multipart/mixed")):
        return next((f"code {code}" for code in MASKED if code.encode() in answer.body), None)
    if not answer.content_type.startswith(("application/json", "application/graphql-response+json")):
        return f"an answer as {answer.content_type!r}"
    members = json.loads(answer.body)
    codes = [error["extensions"]["code"] for error in members.get("errors", ())]
    if answer.status != 200 and (list(members) != ["errors"] or not codes):
        return "a refusal that is not told as errors alone"
    return next((f"code {code}" for code in codes if code in MASKED), None)
