"""An ASGI app on a free loopback port, served by uvicorn in a thread with an event loop of its own."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

WAIT = 10.0
"""Seconds after which waiting for something that should have happened is an error."""


@dataclass
class Exchange:
    """One request and what became of it. `sent` holds each JSON object of the answer, in order; `aborted` says that
    the client went away before the answer ended; `ended` is set when the server is done with it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    sent: list[Any] = field(default_factory=list)
    client: tuple[str, int] | None = None
    status: int | None = None
    aborted: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class Reply:
    """The answer to one exchange, in the making."""

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self.exchange = exchange
        self._receive = receive
        self._send = send
        self._complete = False
        self.watcher = asyncio.ensure_future(self._watch())

    async def json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.exchange.sent.append(body)
        await self.text(status, json.dumps(body), {"content-type": "application/json", **(headers or {})})

    async def text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        await self.start(status, headers or {})
        await self._finish(text.encode())

    async def start(self, status: int, headers: dict[str, str]) -> None:
        self.exchange.status = status
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def event(self, data: Any) -> None:
        """One server-sent event; anything but text is written as JSON and kept in `sent`."""
        if not isinstance(data, str):
            self.exchange.sent.append(data)
            data = json.dumps(data, separators=(",", ":"))
        await self.part(f"data: {data}\n\n".encode())

    async def part(self, data: bytes) -> None:
        """Part of the body, whatever it holds."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._finish(b"")

    def reset(self) -> None:
        """Drops the connection, whatever was promised. uvicorn's `send` is a method of the object that holds it."""
        self._send.__self__.transport.abort()  # type: ignore[attr-defined]

    async def _watch(self) -> None:
        """Returns when the client has gone away, or when all was sent."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.exchange.aborted = not self._complete

    async def _finish(self, body: bytes) -> None:
        self._complete = True
        await self._send({"type": "http.response.body", "body": body})


class LoopbackServer:
    """Serves between `with` and its end; a subclass says what in `answer`. `requests` and waiting for them are safe
    from any thread; everything else runs on the server's own loop. A bug in `answer`, and whatever else ended the server,
    is raised when `with` ends."""

    def __init__(self) -> None:
        self.requests: list[Exchange] = []
        self._changed = threading.Condition()
        # asyncio switches off Nagle's algorithm only on sockets that name their protocol; with it, the pieces of an
        # answer are held back, some 40 ms each time, and come together.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._released = asyncio.Event()
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hanging = 0
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(512)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._failures:
            self._wait(lambda: self._loop is not None, "event loop")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(WAIT)
        if self._failures:
            raise self._failures[0]

    def wait_for_requests(self, number: int) -> list[Exchange]:
        """Blocks until so many have arrived since the start. Raises TimeoutError."""
        self._wait(lambda: len(self.requests) >= number, f"{number} requests")
        return list(self.requests)

    def wait_for_hang(self) -> None:
        """Blocks until an answer hangs. Raises TimeoutError."""
        self._wait(lambda: self._hanging > 0, "an answer that hangs")

    def release(self) -> None:
        """Lets answers that hang go on, and later ones not hang at all."""
        self._wait(lambda: self._loop is not None, "event loop")
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    async def hang(self, reply: Reply) -> None:
        """Returns after `release`, or when the client has gone away: then `aborted` is set."""
        self._count_hanging(1)
        released = asyncio.ensure_future(self._released.wait())
        try:
            await asyncio.wait([released, reply.watcher], return_when=asyncio.FIRST_COMPLETED)
        finally:
            released.cancel()
            self._count_hanging(-1)

    def _count_hanging(self, change: int) -> None:
        with self._changed:
            self._hanging += change
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, WAIT):
                raise TimeoutError(f"still no {what} after {WAIT} s")

    def _run(self) -> None:
        """A server that died refuses its clients, who would wait for it otherwise."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failures.append(error)
            raise
        finally:
            self._socket.close()

    async def _serve(self) -> None:
        """What uvicorn's own `serve` does, without its signals and its polling, which make each end take 0.2 s."""
        config = uvicorn.Config(
            self._app, interface="asgi3", log_config=None, log_level="critical", lifespan="off", ws="none"
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[self._socket])
        with self._changed:
            self._loop = asyncio.get_running_loop()
            self._changed.notify_all()
        await self._stopped.wait()
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message.get("body", b"")
        body += message.get("body", b"")
        exchange = Exchange(
            method=scope["method"],
            path=unquote(scope["path"]),
            query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            body=json.loads(body) if body else None,
            client=scope["client"],
        )
        with self._changed:
            self.requests.append(exchange)
            self._changed.notify_all()
        reply = Reply(exchange, receive, send)
        try:
            await self.answer(exchange, reply)
        except Exception as error:
            self._failures.append(error)
            raise
        finally:
            reply.watcher.cancel()
            exchange.ended.set()
