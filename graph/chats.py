"""Chat sessions: listing, opening, renaming and deleting conversations."""

from datetime import datetime

import strawberry

from domain import model
from domain.model import TurnStatus
from domain.pages import Edge, Page, PageRequest
from graph.context import Info
from graph.ids import CHAT_SESSION, decode_id, encode_id, key_of
from graph.messages import MessageConnection
from graph.nodes import Node, PageInfo, given
from graph.turns import Turn


@strawberry.type(description="One conversation.")
class ChatSession(Node):
    chat_id: int = strawberry.field(description="The integer that the REST routes call chat_id.")
    title: str
    created_at: datetime
    updated_at: datetime = strawberry.field(description="When something last happened in it.")
    active_turn_id: strawberry.Private[int | None]

    @strawberry.field(description="Its messages, oldest first, paged as in `Query.messages`.")
    async def messages(
        self,
        info: Info,
        first: int | None = strawberry.UNSET,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
    ) -> MessageConnection:
        page = PageRequest.of(given(first), given(after), given(last), given(before))
        return MessageConnection.of(await info.context.load.messages(self.chat_id, page))

    @strawberry.field(description="The turn that is being answered just now: `resumeTurn` follows it.")
    async def active_turn(self, info: Info) -> Turn | None:
        if self.active_turn_id is None:
            return None
        turn = await info.context.load.turn(self.active_turn_id)
        return Turn.of(turn) if turn is not None and turn.status is TurnStatus.RUNNING else None

    @classmethod
    def of(cls, chat: model.ChatSession) -> "ChatSession":
        return cls(
            id=strawberry.ID(encode_id(CHAT_SESSION, chat.id)),
            chat_id=chat.id,
            title=chat.title,
            created_at=chat.created_at,
            updated_at=chat.updated_at,
            active_turn_id=chat.active_turn_id,
        )


@strawberry.type
class ChatSessionEdge:
    node: ChatSession
    cursor: str

    @classmethod
    def of(cls, edge: Edge[model.ChatSession]) -> "ChatSessionEdge":
        return cls(node=ChatSession.of(edge.node), cursor=edge.cursor)


@strawberry.type(description="A page of chat sessions, the most recently active first.")
class ChatSessionConnection:
    edges: list[ChatSessionEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, page: Page[model.ChatSession]) -> "ChatSessionConnection":
        return cls(edges=[ChatSessionEdge.of(edge) for edge in page.edges], page_info=PageInfo.of(page))


@strawberry.input
class NewChatInput:
    title: str | None = strawberry.field(
        default=strawberry.UNSET, description="Without one, the first message names the chat."
    )


@strawberry.type
class ChatQuery:
    @strawberry.field(
        description="The viewer's chat sessions, the most recently active first: 100 at most. "
        "`search` looks for a text in their titles."
    )
    async def sessions(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        search: str | None = strawberry.UNSET,
    ) -> ChatSessionConnection:
        viewer = await info.context.viewer()
        page = PageRequest.of(first, given(after))
        return ChatSessionConnection.of(await info.context.services.chats.list(viewer, page, given(search)))

    @strawberry.field(description="One of the viewer's chat sessions; null when there is none with that id.")
    async def session(self, info: Info, id: strawberry.ID) -> ChatSession | None:
        await info.context.viewer()
        kind, key = decode_id("id", id)
        chat = await info.context.load.chat(key[0]) if kind == CHAT_SESSION else None
        return ChatSession.of(chat) if chat is not None else None


@strawberry.type
class ChatMutation:
    @strawberry.mutation(description="Opens a chat session.")
    async def new_chat(self, info: Info, input: NewChatInput | None = strawberry.UNSET) -> ChatSession:
        viewer = await info.context.viewer()
        chosen = given(input)
        title = given(chosen.title) if chosen is not None else None
        return ChatSession.of(await info.context.services.chats.create(viewer, title))

    @strawberry.mutation(description="Gives a chat session another title.")
    async def rename_chat(self, info: Info, session_id: strawberry.ID, title: str) -> ChatSession:
        viewer = await info.context.viewer()
        key = key_of(CHAT_SESSION, "sessionId", session_id)
        return ChatSession.of(await info.context.services.chats.rename(viewer, key, title))

    @strawberry.mutation(
        description="Deletes a chat session with all its messages, and returns its id. A turn that runs is stopped first."
    )
    async def delete_chat(self, info: Info, session_id: strawberry.ID) -> strawberry.ID:
        viewer = await info.context.viewer()
        await info.context.services.chats.delete(viewer, key_of(CHAT_SESSION, "sessionId", session_id))
        return session_id
