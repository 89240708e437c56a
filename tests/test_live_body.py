"""Bodies that are sent as they come, from outside the application that answers with them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from starlette.types import Message, Receive, Scope, Send

from live_body import LiveBody, serve_app

asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


class Desk:
    """An application that answers with a live body, and fails behind it with `error`; all that happens, in order."""

    def __init__(self, error: Exception | None = None) -> None:
        self.happened: list[str] = []
        self._error = error

    async def frames(self) -> AsyncGenerator[bytes, None]:
        self.happened.append(f"asked by {asked_by.get()}")
        try:
            yield b"one"
            yield b"two"
        finally:
            self.happened.append("frames closed")

    @contextmanager
    def place(self):  # type: ignore[no-untyped-def]
        try:
            yield
        finally:
            self.happened.append("place given back")

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            await send({**message, "headers": [(b"x-request-id", b"7")]} if "headers" in message else message)

        token = asked_by.set("ann")
        try:
            await LiveBody(self.frames(), "text/plain", b"-", 60, self.place())(scope, receive, named)
        finally:
            asked_by.reset(token)
        self.happened.append("application returned")
        if self._error is not None:
            raise self._error

    async def send(self, message: Message) -> None:
        told = dict(message.get("headers", ())).get(b"x-request-id", b"").decode()
        self.happened.append(f"{message['type'].rpartition('.')[2]} {told}{message.get('body', b'').decode()}".strip())


async def still_there() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_rest_is_sent_when_the_application_has_returned() -> None:
    desk = Desk()
    await asyncio.create_task(serve_app(desk.app, {"type": "http"}, still_there, desk.send))
    sent = ["asked by ann", "body one", "body two", "frames closed", "place given back", "body"]
    assert desk.happened == ["start 7", "application returned", *sent]


async def test_it_sends_itself_where_nobody_takes_it_over() -> None:
    desk = Desk()
    await desk.app({"type": "http"}, still_there, desk.send)
    sent = ["asked by ann", "body one", "body two", "frames closed", "place given back", "body"]
    assert desk.happened == ["start 7", *sent, "application returned"]


async def test_it_is_closed_where_the_application_fails_behind_it() -> None:
    desk = Desk(ValueError("behind"))
    with pytest.raises(ValueError, match="behind"):
        await serve_app(desk.app, {"type": "http"}, still_there, desk.send)
    assert desk.happened == ["start 7", "application returned", "place given back"]


async def test_it_is_closed_where_not_even_its_headers_are_taken() -> None:
    desk = Desk()

    async def gone(message: Message) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await serve_app(desk.app, {"type": "http"}, still_there, gone)
    assert desk.happened == ["place given back"]


async def test_it_ends_when_its_client_goes() -> None:
    desk = Desk()
    first = asyncio.Event()

    async def slow(message: Message) -> None:
        await desk.send(message)
        if message.get("body"):
            first.set()
            await asyncio.Event().wait()

    async def goes() -> Message:
        await first.wait()
        return {"type": "http.disconnect"}

    await serve_app(desk.app, {"type": "http"}, goes, slow)
    assert desk.happened[-3:] == ["body one", "frames closed", "place given back"]
