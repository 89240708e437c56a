"""The cheapest thing that can stand between a client and a model: bytes in, the same bytes out. No parsing, no log.

UPSTREAM_URL=http://127.0.0.1:9100/chat uvicorn bench.passthrough:app
"""

import os
from typing import Any

import aiohttp
from starlette.types import Receive, Scope, Send


class Proxy:
    def __init__(self) -> None:
        self._url = os.environ["UPSTREAM_URL"]
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ready"})
        else:
            await self._relay(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _relay(self, receive: Receive, send: Send) -> None:
        assert self._session is not None
        message: dict[str, Any] = dict(await receive())
        async with self._session.post(self._url, data=message["body"]) as answer:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for read in answer.content.iter_any():
                await send({"type": "http.response.body", "body": read, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


app = Proxy()
