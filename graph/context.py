"""What the resolvers of one operation share: the services, who asks, the loaders, and the request's id."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import strawberry
from strawberry.dataloader import DataLoader

from domain.errors import NotFound
from domain.model import Message, Source, Turn, Viewer
from domain.services import Services


class DeskContext:
    """One operation's. `token` is what the client presented: None when it did not, and "" when it was no bearer
    token. `address` is the client's, for rate limits. `last_event_id` is the cursor that the client's connection asks to
    go on from, None without one; `cursor` is the `seq` of the turn event that was sent last."""

    def __init__(self, services: Services, token: str | None, address: str, request_id: str) -> None:
        self.services = services
        self.token = token
        self.address = address
        self.request_id = request_id
        self.last_event_id: int | None = None
        self.cursor: int | None = None
        self._viewer: asyncio.Future[Viewer] | None = None
        # Without a cache: a subscription outlives what it loaded, and a mutation changes it. They batch all the same.
        self._turns: DataLoader[int, Turn | None] = DataLoader(self._load_turns, cache=False)
        self._versions: DataLoader[int, tuple[Message, ...]] = DataLoader(self._load_versions, cache=False)
        self._sources: DataLoader[int, tuple[Source, ...]] = DataLoader(self._load_sources, cache=False)

    def for_operation(self) -> "DeskContext":
        """A fresh context for one operation of the socket that this one belongs to."""
        return DeskContext(self.services, self.token, self.address, new_request_id())

    async def viewer(self) -> Viewer:
        """Who asks; looked up once, and only for operations that want to know. Raises Unauthenticated."""
        if self._viewer is None:
            self._viewer = asyncio.ensure_future(self.services.accounts.authenticate(self.token))
        return await self._viewer

    async def turn(self, turn_id: int) -> Turn:
        """Batched with its siblings'. Raises NotFound."""
        turn = await self._turns.load(turn_id)
        if turn is None:
            raise NotFound("There is no such turn.")
        return turn

    async def sources(self, message_id: int) -> tuple[Source, ...]:
        """A message's sources in citation order, batched with its siblings'; none for what is missing."""
        return await self._sources.load(message_id)

    async def versions(self, message_id: int) -> tuple[Message, ...]:
        """A message's versions, oldest first, batched with its siblings'; none for what is missing."""
        return await self._versions.load(message_id)

    async def _load_versions(self, ids: list[int]) -> Sequence[tuple[Message, ...]]:
        found = await self.services.chats.versions_batch(await self.viewer(), list(dict.fromkeys(ids)))
        return [found.get(message_id, ()) for message_id in ids]

    async def _load_turns(self, ids: list[int]) -> Sequence[Turn | None]:
        found = await self.services.turns.get_batch(await self.viewer(), list(dict.fromkeys(ids)))
        return [found.get(turn_id) for turn_id in ids]

    async def _load_sources(self, ids: list[int]) -> Sequence[tuple[Source, ...]]:
        found = await self.services.chats.sources_batch(await self.viewer(), list(dict.fromkeys(ids)))
        return [found.get(message_id, ()) for message_id in ids]


Info = strawberry.Info[DeskContext, Any]


def new_request_id() -> str:
    return uuid4().hex
