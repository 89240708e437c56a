"""Chats: one's conversations, their messages, and the sources and ratings of answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from domain.errors import NotFound
from domain.inputs import Inputs
from domain.model import ChatSession, Message, Rating, Source, Turn, Viewer
from domain.pages import Page, PageRequest
from domain.ports import ChatStore, MessageStore

DEFAULT_TITLE = "New chat"
T = TypeVar("T")


class Chats:
    """What a viewer can do with chats. Somebody else's and a missing one are both NotFound.

    `stop` ends a running turn of the viewer and returns once it has ended.
    """

    def __init__(
        self, chats: ChatStore, messages: MessageStore, stop: Callable[[Viewer, int], Awaitable[Turn]]
    ) -> None:
        self._chats = chats
        self._messages = messages
        self._stop = stop

    async def create(self, viewer: Viewer, title: str | None = None) -> ChatSession:
        """Raises BadUserInput. Without a title it is named by its first message."""
        return await self._chats.create_chat(viewer.user_id, DEFAULT_TITLE if title is None else _checked_title(title))

    async def get(self, viewer: Viewer, chat_id: int) -> ChatSession:
        """Raises NotFound."""
        return _found((await self.batch(viewer, [chat_id])).get(chat_id))

    async def batch(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, ChatSession]:
        """Those of the chats that exist and are the viewer's."""
        return await self._chats.get_chats(viewer.user_id, ids)

    async def list(self, viewer: Viewer, page: PageRequest, search: str | None = None) -> Page[ChatSession]:
        """The most recently active first. `search` looks in titles. Raises BadUserInput."""
        inputs = Inputs()
        search = inputs.search("search", search)
        inputs.check()
        return await self._chats.list_chats(viewer.user_id, page, search)

    async def rename(self, viewer: Viewer, chat_id: int, title: str) -> ChatSession:
        """Raises BadUserInput or NotFound."""
        title = _checked_title(title)
        return _found(await self._chats.rename_chat(viewer.user_id, chat_id, title))

    async def delete(self, viewer: Viewer, chat_id: int) -> None:
        """Deletes the chat with all that is in it. A turn that runs is stopped first, so that its followers hear of
        the end. Raises NotFound."""
        chat = await self.get(viewer, chat_id)
        if chat.active_turn_id is not None:
            await self._stop(viewer, chat.active_turn_id)
        if not await self._chats.delete_chat(viewer.user_id, chat_id):
            raise NotFound

    async def messages(self, viewer: Viewer, chat_id: int, page: PageRequest) -> Page[Message]:
        """Oldest first, without sources. Raises NotFound."""
        return _found((await self.message_pages(viewer, [chat_id], page)).get(chat_id))

    async def message_pages(
        self, viewer: Viewer, chat_ids: Sequence[int], page: PageRequest
    ) -> dict[int, Page[Message]]:
        """The same page of each chat that exists and is the viewer's, without sources. Raises BadUserInput."""
        return await self._messages.list_messages(viewer.user_id, chat_ids, page)

    async def message_batch(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, Message]:
        """Those of the messages that exist and are the viewer's, without sources."""
        return await self._messages.get_messages(viewer.user_id, ids)

    async def versions_batch(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, tuple[Message, ...]]:
        """All versions, oldest first and without sources, of each message that exists and is the viewer's."""
        return await self._messages.get_versions(viewer.user_id, ids)

    async def versions(self, viewer: Viewer, message_id: int) -> tuple[Message, ...]:
        """Oldest first, without sources. Raises NotFound."""
        return _found((await self.versions_batch(viewer, [message_id])).get(message_id))

    async def sources_batch(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """The sources, in ordinal order, of each message that exists and is the viewer's."""
        return await self._messages.get_sources(viewer.user_id, ids)

    async def sources(self, viewer: Viewer, message_id: int) -> tuple[Source, ...]:
        """In the order of citation. Raises NotFound."""
        return _found((await self.sources_batch(viewer, [message_id])).get(message_id))

    async def rate(self, viewer: Viewer, message_id: int, rating: Rating, comment: str | None = None) -> Message:
        """Replaces the viewer's rating of an answer. Raises BadUserInput or NotFound (questions are not rated)."""
        inputs = Inputs()
        comment = inputs.comment("comment", comment)
        inputs.check()
        return _found(await self._messages.rate_message(viewer.user_id, message_id, rating, comment))


def _checked_title(title: str) -> str:
    inputs = Inputs()
    title = inputs.title("title", title)
    inputs.check()
    return title


def _found(found: T | None) -> T:
    if found is None:
        raise NotFound
    return found
