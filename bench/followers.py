"""The clients of the token benchmark, in a process of their own: follow many answers at once, and say how they came.

    python -m bench.followers rest http://127.0.0.1:8001 20

Prepares, prints `ready`, waits for a line, then asks on all streams, spread over a second; prints one JSON object.
Tokens carry the time at which they left the upstream (bench.upstream), so each says itself how late it is.
"""

import asyncio
import json
import re
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import uvloop

QUESTION = "What is included in the nano pricing plan%s?"
"""Each stream asks in words of its own, so that no answer is ready for its having been asked before."""
SPREAD = 1.0
STAMP = re.compile(rb" (\d{9,})")
EVENTS = "__typename seq ... on AnswerDelta { text } ... on TurnEnded { error { message } }"
SUBSCRIPTION = f"subscription ($input: SendMessageInput!) {{ sendMessage(input: $input) {{ {EVENTS} }} }}"
TEXTBOOK = 'subscription { ask(text: "%s") { seq text } }'

Session = aiohttp.ClientSession
Frames = Callable[[Session, str, Any], AsyncIterator[bytes]]


@dataclass
class Arrivals:
    """Of one stream: when it asked, and for each frame with new text when it came and its newest stamp, in s."""

    asked: float = 0.0
    times: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    _newest: int = 0

    def frame(self, frame: bytes) -> None:
        now, before = time.monotonic(), self._newest
        for stamp in map(int, STAMP.findall(frame)):
            if stamp > self._newest:  # the turn's end holds all of them again
                self._newest = stamp
                self.late.append(now - stamp / 1e6)
        if self._newest > before:
            self.times.append(now)


async def server_sent(session: Session, url: str, body: Any, headers: dict[str, str]) -> AsyncIterator[bytes]:
    async with session.post(url, json=body, headers=headers) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {await answer.text()}")
        rest = b""
        async for read in answer.content.iter_any():
            *frames, rest = (rest + read).split(b"\n\n")
            if frames:
                yield b"".join(frames)


async def socket(session: Session, url: str, payload: Any, token: str | None) -> AsyncIterator[bytes]:
    async with session.ws_connect(url, protocols=["graphql-transport-ws"], max_msg_size=0) as ws:
        await ws.send_json({"type": "connection_init", "payload": {"token": token} if token else {}})
        await ws.receive()
        await ws.send_json({"type": "subscribe", "id": "1", "payload": payload})
        async for message in ws:
            if '"complete"' in message.data[:60]:
                return
            yield message.data.encode()


def raw(session: Session, base: str, _: Any) -> AsyncIterator[bytes]:
    return server_sent(session, base + "/chat", {"stream": True}, {})


def textbook(session: Session, base: str, _: Any) -> AsyncIterator[bytes]:
    return socket(session, base + "/graphql", {"query": TEXTBOOK % question()}, None)


def rest(session: Session, base: str, who: Any) -> AsyncIterator[bytes]:
    token, chat, _ = who
    body = {"chat_id": chat, "message": question(), "stream": True}
    return server_sent(session, base + "/api/v1/chat/message", body, {"Authorization": f"Bearer {token}"})


def graphql_sse(session: Session, base: str, who: Any) -> AsyncIterator[bytes]:
    token, _, chat = who
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    return server_sent(session, base + "/graphql", _operation(chat), headers)


def graphql_ws(session: Session, base: str, who: Any) -> AsyncIterator[bytes]:
    token, _, chat = who
    return socket(session, base + "/graphql", _operation(chat), token)


def _operation(chat: str) -> dict[str, Any]:
    return {"query": SUBSCRIPTION, "variables": {"input": {"sessionId": chat, "text": question()}}}


def question() -> str:
    return QUESTION % f" of {uuid4().hex[:8]}"


async def nobody(session: Session, base: str, streams: int) -> list[Any]:
    return [None] * streams


async def sign_up(session: Session, base: str, streams: int) -> list[Any]:
    """A user with one chat a stream: (token, chat's id in REST, in GraphQL) each."""

    name = f"bench_{uuid4().hex[:12]}"
    account = {"username": name, "email": f"{name}@example.com", "password": "a_strong_password"}
    async with session.post(base + "/api/v1/auth/register", json=account) as answer:
        if answer.status >= 300:
            raise RuntimeError(await answer.text())
    form = {"username": name, "password": "a_strong_password"}
    async with session.post(base + "/api/v1/auth/token", data=form) as answer:
        token = (await answer.json())["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    found = []
    for _ in range(streams):
        async with session.post(base + "/api/v1/chat/new-chat", headers=headers, json={}) as answer:
            chat = (await answer.json())["chat_id"]
        found.append((token, chat, _global_id(chat)))
    return found


def _global_id(chat: int) -> str:
    return b64encode(f"ChatSession:{chat}".encode()).decode()


KINDS: dict[str, tuple[Frames, Callable[[Session, str, int], Awaitable[list[Any]]]]] = {
    "raw": (raw, nobody),
    "textbook": (textbook, nobody),
    "rest": (rest, sign_up),
    "graphql_sse": (graphql_sse, sign_up),
    "graphql_ws": (graphql_ws, sign_up),
}


async def follow(session: Session, frames: Frames, base: str, who: Any, after: float) -> Arrivals:
    await asyncio.sleep(after)
    arrivals = Arrivals(time.monotonic())
    async for frame in frames(session, base, who):
        arrivals.frame(frame)
    return arrivals


async def main(kind: str, base: str, streams: int) -> None:
    frames, prepare = KINDS[kind]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        prepared = await prepare(session, base, streams)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        waits = [SPREAD * number / streams for number in range(streams)]
        found = await asyncio.gather(
            *(follow(session, frames, base, who, wait) for who, wait in zip(prepared, waits, strict=True))
        )
    gaps = [after - before for one in found for before, after in zip(one.times, one.times[1:], strict=False)]
    result = {
        "first": [one.times[0] - one.asked for one in found if one.times],
        "gaps": gaps,
        "late": [late for one in found for late in one.late],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
