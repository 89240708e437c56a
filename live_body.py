"""Responses whose body is sent as it comes: server-sent events and multipart streams, on both faces."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_HEARTBEAT = 15.0
"""Seconds of silence that proxies commonly bear."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await self._serve(receive, send)

    async def _serve(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        beating = asyncio.create_task(self._beat(send))
        leaving = asyncio.create_task(_wait_until_gone(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, beating, leaving):
                task.cancel()
            await asyncio.wait({writing, beating, leaving})
        if not writing.cancelled():
            writing.result()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            async for frame in frames:
                await self._send(send, frame)

    async def _beat(self, send: Send) -> None:
        """Runs beside the writer. Both send whole frames only, so it does not matter whose comes first."""
        now = asyncio.get_running_loop().time
        self._sent_at = now()
        while True:
            await asyncio.sleep(self._sent_at + self._heartbeat - now())
            if now() - self._sent_at >= self._heartbeat:
                await self._send(send, self._silence)

    async def _send(self, send: Send, frames: bytes) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": frames, "more_body": True})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
