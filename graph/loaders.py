"""What the resolvers of one operation ask for one by one, gathered: the questions of one tick are one statement.

They remember nothing (docs/decisions/0013), and the messages of many chats are one statement as well
(docs/decisions/0025).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from strawberry.dataloader import DataLoader

from domain.errors import BadUserInput, NotFound
from domain.model import ChatSession, Message, Source, Turn, Viewer
from domain.pages import Page, PageRequest
from domain.services import Services

T = TypeVar("T")

MOST_AT_ONCE = 5_000
"""Ids in one statement. PostgreSQL takes 32,767 parameters, SQLite one less."""


class Loaders:
    """One operation's. What is missing, or somebody else's, is None, or raises NotFound where that is said."""

    def __init__(self, services: Services, viewer: Callable[[], Awaitable[Viewer]]) -> None:
        chats, self._viewer = services.chats, viewer
        self._message_pages = chats.message_pages
        self._chats = self._by_id(chats.batch)
        self._messages = self._by_id(chats.message_batch)
        self._turns = self._by_id(services.turns.get_batch)
        self._sources = self._by_id(chats.sources_batch)
        self._versions = self._by_id(chats.versions_batch)
        self._pages = DataLoader(self._load_pages, MOST_AT_ONCE, cache=False)

    async def chat(self, chat_id: int) -> ChatSession | None:
        return await self._chats.load(chat_id)

    async def message(self, message_id: int) -> Message | None:
        """Without sources."""
        return await self._messages.load(message_id)

    async def turn(self, turn_id: int) -> Turn | None:
        return await self._turns.load(turn_id)

    async def sources(self, message_id: int) -> tuple[Source, ...]:
        """A message's, in citation order; none for what is missing."""
        return await self._sources.load(message_id) or ()

    async def versions(self, message_id: int) -> tuple[Message, ...]:
        """A message's, oldest first and without sources; none for what is missing."""
        return await self._versions.load(message_id) or ()

    async def messages(self, chat_id: int, request: PageRequest) -> Page[Message]:
        """A page of a chat's, without sources: one statement for all chats of which the same page is asked for. Raises
        BadUserInput for a cursor of another list, or NotFound."""
        page = await self._pages.load((chat_id, request))
        if page is None:
            raise NotFound
        return page

    def _by_id(self, batch: Callable[[Viewer, Sequence[int]], Awaitable[Mapping[int, T]]]) -> DataLoader[int, T | None]:
        async def load(ids: list[int]) -> list[T | None]:
            found = await batch(await self._viewer(), tuple(dict.fromkeys(ids)))
            return [found.get(id) for id in ids]

        return DataLoader(load, MOST_AT_ONCE, cache=False)

    async def _load_pages(self, keys: list[tuple[int, PageRequest]]) -> list[Page[Message] | BadUserInput | None]:
        viewer = await self._viewer()
        chats: dict[PageRequest, dict[int, None]] = {}
        for chat_id, request in keys:
            chats.setdefault(request, {})[chat_id] = None
        found: dict[PageRequest, dict[int, Page[Message]]] = {}
        refused: dict[PageRequest, BadUserInput] = {}
        for request, chat_ids in chats.items():
            try:
                found[request] = await self._message_pages(viewer, tuple(chat_ids), request)
            except BadUserInput as error:  # it is no fault of the others' requests
                refused[request] = error
        return [refused[request] if request in refused else found[request].get(chat_id) for chat_id, request in keys]
