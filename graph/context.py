"""What the resolvers of one operation share: the services, who asks, the loaders, and the request's id."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any

import strawberry

from domain.errors import Unauthenticated
from domain.events import AnswerDelta
from domain.model import Viewer
from domain.places import Place
from domain.services import Services
from domain.streams import Tenure
from graph.loaders import Loaders


class DeskContext:
    """One operation's. `token` is what the client presented: None when it did not, and "" when it was no bearer
    token. `address` is the client's, for rate limits. `last_event_id` is the cursor that the client's connection asks to
    go on from, None without one; `cursor` is the `seq` of the turn event that was sent last. `plan` renders answer deltas,
    where the operation, once it is `planned`, allows it (`graph.deltas`). `tenure` is how long the
    streams of a signed-in socket go on; None elsewhere. `load` finds things of the viewer's."""

    def __init__(self, services: Services, token: str | None, address: str, request_id: str) -> None:
        self.services = services
        self.token = token
        self.address = address
        self.request_id = request_id
        self.last_event_id: int | None = None
        self.cursor: int | None = None
        self.tenure: Tenure | None = None
        self.plan: Callable[[AnswerDelta], bytes | None] | None = None
        self.planned = False
        self._socket = self
        self._asking: asyncio.Future[Viewer] | None = None
        self._viewer: Viewer | None = None

    @cached_property
    def load(self) -> Loaders:
        """Made for those who ask: most streams never do."""
        return Loaders(self.services, self.viewer)

    def for_operation(self) -> "DeskContext":
        """A fresh context for one operation of the socket that this one belongs to."""
        made = DeskContext(self.services, self.token, self.address, new_request_id())
        made.tenure, made._socket = self.tenure, self
        return made

    async def renew(self, token: str) -> None:
        """The socket and its streams go on under a newer token of the same user's; elsewhere nothing has to. Raises
        Unauthenticated, or Forbidden when the token is somebody else's."""
        if self.tenure is not None:
            self.tenure.renew(await self.services.accounts.authenticate(token))
            self._socket.token = token

    def stream(self, viewer: Viewer) -> Place:
        """A place for a stream of the operation's. Raises RateLimited when it is entered."""
        return self.services.streams.places.stream(viewer.user_id, self.address)

    async def require_stream(self) -> None:
        """Raises RateLimited when the viewer may open no stream just now. Whoever is nobody is told so later."""
        with suppress(Unauthenticated):
            self.services.streams.places.require_stream((await self.viewer()).user_id, self.address)

    async def viewer(self) -> Viewer:
        """Who asks; looked up once, and only for operations that want to know. Raises Unauthenticated."""
        if self._viewer is None:
            if self._asking is None:
                self._asking = asyncio.ensure_future(self.services.accounts.authenticate(self.token))
            self._viewer = await self._asking
            self._asking = None
        return self._viewer


Info = strawberry.Info[DeskContext, Any]


def new_request_id() -> str:
    return secrets.token_hex(16)
