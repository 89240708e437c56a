"""A chat model for the benchmark: Azure-shaped streams at an even pace, from a process of its own.

    python -m bench.upstream 9100

Every POST is answered with the same chunks as Azure OpenAI sends (the prompt's filter results, the role, one chunk a
token, the finish reason, the usage): after `think` seconds the first token, then `rate` tokens a second. A token's
text begins with the time at which it left, in µs of the monotonic clock, which all processes of a machine share:
whoever reads it knows how late it is. `GET /script?tokens=200&rate=50&think=0.3` sets what later requests get, and
`GET /closed` tells when connections were closed in the middle of an answer, in s of the same clock.
"""

import asyncio
import sys
import time
from typing import cast
from urllib.parse import parse_qsl

import orjson
import uvloop

FILTERS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
script = {"tokens": 200.0, "rate": 50.0, "think": 0.3}
closed: list[float] = []


def event(choices: list[dict[str, object]], **others: object) -> bytes:
    chunk = {
        "id": "chatcmpl-BqL3v7mXoZ2Yt9hWcKd5RsPnEfUaJ",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-11-20",
        "system_fingerprint": "fp_ee1d74bde0",
    }
    return b"data: %b\n\n" % orjson.dumps({"choices": choices, **chunk, **others})


def choice(delta: dict[str, str], finish: str | None = None, filters: object = FILTERS) -> list[dict[str, object]]:
    return [{"content_filter_results": filters, "delta": delta, "finish_reason": finish, "index": 0, "logprobs": None}]


OPENING = (
    event([], id="", object="", created=0, model="", prompt_filter_results=[{"prompt_index": 0}])
    + event(choice({"content": "", "role": "assistant"}, filters={}))
)  # fmt: skip
BEFORE, AFTER = event(choice({"content": "%"})).split(b"%")
USAGE = event([], usage={"prompt_tokens": 900, "completion_tokens": 200, "total_tokens": 1100})
CLOSING = event(choice({}, "stop", {})) + USAGE + DONE


class Upstream(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        if len(body) < length:
            return
        self._received = body[length:]
        method, target, _ = head.split(b" ", 2)
        if method == b"GET":
            script.update({name: float(value) for name, value in parse_qsl(target.decode().partition("?")[2])})
            told = orjson.dumps(closed) if target == b"/closed" else b""
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))
            return
        self._left, self._wait, self._sent = int(script["tokens"]), 1 / script["rate"], 0
        self._due = self._loop.time() + script["think"]
        self._transport.write(HEAD + _chunk(OPENING))
        self._timer = self._loop.call_at(self._due, self._token)

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            closed.append(time.monotonic())

    def _token(self) -> None:
        """Every tenth cites a passage."""
        self._sent += 1
        text = b" %d%s" % (time.monotonic_ns() // 1000, b" [1]." if self._sent % 10 == 0 else b"")
        self._transport.write(_chunk(BEFORE + text + AFTER))
        self._due += self._wait
        self._timer = self._loop.call_at(self._due, self._token if self._sent < self._left else self._end)

    def _end(self) -> None:
        self._timer = None
        self._transport.write(_chunk(CLOSING) + b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
