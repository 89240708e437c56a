"""Responses whose body is sent as it comes: server-sent events and multipart streams, on both faces.

A stream lasts long after its request was understood. So a live body sends its headers where it is called, and hands
itself over to `serve_app`, the outermost of all, which sends the rest when the application has returned: nothing of
middleware, routing and dependencies is held for an open stream, and what it sends does not go through them.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from contextvars import copy_context

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_HEARTBEAT = 15.0
"""Seconds of silence that proxies commonly bear."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
_HANDED_OVER = "answerdesk.live_bodies"
"""Member of a scope: the live bodies whose rest is sent at the end."""


async def serve_app(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Calls an application, and sends the rest of the live body that it answers with."""
    bodies: list[LiveBody] = []
    try:
        # A copy: what the application leaves in it is the application's to hold.
        await app({**scope, _HANDED_OVER: bodies}, receive, send)
    except BaseException:
        for body in bodies:
            await body.close()
        raise
    for body in bodies:
        await body.send_rest(receive, send)


class LiveBody(Response):
    """Sends what `frames` gives as it comes, `silence` after each `heartbeat` seconds without anything, and ends with
    them. It holds no more than what is in hand: a slow client is waited for. When the client goes, `frames` is closed.
    `place` is given back at the end."""

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        form: str,
        silence: bytes,
        heartbeat: float,
        place: AbstractContextManager[object] | None = None,
    ) -> None:
        """Each of `frames`, and `silence`, is whole by itself; `form` is their media type."""
        self.status_code = 200
        self.background = None
        self.media_type = form
        self.init_headers(HEADERS)
        self._frames = frames
        self._silence = silence
        self._heartbeat = heartbeat
        self._place = place or nullcontext()
        self._sent_at = 0.0
        self._beating: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = copy_context()  # the request's, for what is logged of its stream
        handed_over: list[LiveBody] | None = scope.get(_HANDED_OVER)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        except BaseException:
            await self.close()
            raise
        if handed_over is None:
            await self.send_rest(receive, send)
        else:
            handed_over.append(self)

    async def send_rest(self, receive: Receive, send: Send) -> None:
        """All behind the headers."""
        writing = asyncio.create_task(self._write(send), context=self._context)
        leaving = asyncio.create_task(_wait_until_gone(receive), context=self._context)
        leaving.add_done_callback(lambda _: writing.cancel())
        self._sent_at = asyncio.get_running_loop().time()
        self._beat(send)
        try:
            await writing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return  # the client has gone
        finally:
            self._timer.cancel()
            tasks = [task for task in (writing, leaving, self._beating) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def close(self) -> None:
        """Gives back what it holds; to be called once, at its end, whether it was sent or not."""
        with self._place:
            await self._frames.aclose()

    async def _write(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            async for frame in frames:
                await self._send(send, frame)

    def _beat(self, send: Send) -> None:
        """Sends `silence` if there was some, beside the writer: both send whole frames only, so it does not matter whose
        comes first. And looks again when there may have been some."""
        loop = asyncio.get_running_loop()
        if (now := loop.time()) - self._sent_at >= self._heartbeat:
            self._sent_at = now
            if self._beating is None or self._beating.done():  # a slow client has not taken the last one
                self._beating = asyncio.create_task(self._send(send, self._silence), context=self._context)
        self._timer = loop.call_at(self._sent_at + self._heartbeat, self._beat, send)

    async def _send(self, send: Send, frames: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": frames, "more_body": True})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
