"""A bare graphql-transport-ws client, frame by frame."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.graph.desk import Desk

PROTOCOL = "graphql-transport-ws"


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        return json.loads(await self.connection.recv())

    async def init(self, payload: Any = None) -> Any:
        await self.send({"type": "connection_init", "payload": payload})
        return await self.receive()

    async def subscribe(self, query: str, variables: Any = None, id: str = "1", **members: Any) -> None:
        payload = {"query": query, "variables": variables, **members}
        await self.send({"id": id, "type": "subscribe", "payload": payload})

    async def results(self, id: str = "1") -> AsyncIterator[Any]:
        """The payloads of `next`, to `complete`. An `error` fails."""
        while True:
            message = await self.receive()
            assert message["id"] == id, message
            if message["type"] == "complete":
                return
            assert message["type"] == "next", message
            yield message["payload"]

    async def closed(self) -> int:
        """Reads to the end; the close code."""
        with_code: int | None = None
        try:
            while True:
                await self.connection.recv()
        except websockets.ConnectionClosed:
            with_code = self.connection.close_code
        assert with_code is not None
        return with_code


@asynccontextmanager
async def connect(desk: Desk, protocols: tuple[str, ...] = (PROTOCOL,), **options: Any) -> AsyncIterator[Socket]:
    async with websockets.connect(desk.websocket, subprotocols=protocols or None, proxy=None, **options) as connection:  # type: ignore[arg-type]
        yield Socket(connection)


@asynccontextmanager
async def signed_in(desk: Desk, token: str) -> AsyncIterator[Socket]:
    async with connect(desk) as socket:
        ack = await socket.init({"authorization": f"Bearer {token}"})
        assert ack == {"type": "connection_ack"}
        yield socket
