"""Messages, the sources of answers, and what the viewer thinks of them."""

from collections.abc import Iterable
from datetime import datetime

import strawberry

from domain import model
from domain.errors import NotFound
from domain.model import Rating, Role
from domain.pages import Edge, Page, PageRequest
from graph.context import Info
from graph.ids import CHAT_SESSION, MESSAGE, SOURCE, encode_id, key_of
from graph.nodes import Node, PageInfo, given
from graph.turns import Turn

strawberry.enum(Role, description="Who wrote a message.")
strawberry.enum(Rating, description="What the viewer thinks of an answer.")


@strawberry.type(description="A half-open range [start, end) of characters (Unicode code points).")
class Span:
    start: int
    end: int

    @classmethod
    def of(cls, span: model.Span) -> "Span":
        return cls(start=span.start, end=span.end)


@strawberry.type(description="A passage that the answer rests on.")
class Source(Node):
    ordinal: int = strawberry.field(description="The n of the answer's [n] marker.")
    agent: str = strawberry.field(description="The name of the agent whose knowledge base it is from.")
    document_id: str
    title: str
    url: str | None
    excerpt: str
    score: float = strawberry.field(description="How well the passage fits the question, as its search engine says.")
    spans: list[Span] = strawberry.field(description="Where the answer cites it, in characters of `Message.text`.")
    document_spans: list[Span | None] = strawberry.field(
        description="For each of `spans`, where the document says so, in characters of `Document.text`; null where that "
        "is not known."
    )
    flagged: bool = strawberry.field(
        description="Whether the passage held something that spoke to the assistant instead of to readers. It was "
        "withheld: ⟦…⟧ stands in its place."
    )

    @classmethod
    def of(cls, source: model.Source) -> "Source":
        return cls(
            id=strawberry.ID(encode_id(SOURCE, source.id)),
            ordinal=source.ordinal,
            agent=source.agent,
            document_id=source.document_id,
            title=source.title,
            url=source.url,
            excerpt=source.excerpt,
            score=source.score,
            spans=[Span.of(span) for span in source.spans],
            document_spans=[Span.of(span) if span else None for span in source.document_spans],
            flagged=source.flagged,
        )


@strawberry.type(description="One side of a turn: the viewer's question or the answer to it.")
class Message(Node):
    role: Role
    text: str = strawberry.field(description="Of an answer whose turn still runs, what was saved of it so far.")
    created_at: datetime
    rating: Rating
    message_id: strawberry.Private[int]
    turn_id: strawberry.Private[int]
    known_sources: strawberry.Private[tuple[model.Source, ...] | None]

    @strawberry.field(description="The turn that it belongs to.")
    async def turn(self, info: Info) -> Turn:
        turn = await info.context.load.turn(self.turn_id)
        if turn is None:
            raise NotFound("There is no such turn.")
        return Turn.of(turn)

    @strawberry.field(description="What an answer was written from, in citation order. A question has none.")
    async def sources(self, info: Info) -> list[Source]:
        known = self.known_sources
        return sources_of(known if known is not None else await info.context.load.sources(self.message_id))

    @strawberry.field(
        description="All that was answered to the same question, oldest first; the last is the one that the session "
        "shows. A message that was never written anew is its only version."
    )
    async def versions(self, info: Info) -> "list[Message]":
        return [Message.of(version) for version in await info.context.load.versions(self.message_id)]

    @classmethod
    def of(cls, message: model.Message, complete: bool = False) -> "Message":
        """`complete` says that `message.sources` are all there are; else they are loaded when they are asked for."""
        return cls(
            id=strawberry.ID(encode_id(MESSAGE, message.id)),
            role=message.role,
            text=message.text,
            created_at=message.created_at,
            rating=message.rating,
            message_id=message.id,
            turn_id=message.turn_id,
            known_sources=message.sources if complete or message.role is Role.USER else None,
        )


def sources_of(sources: Iterable[model.Source]) -> list[Source]:
    return [Source.of(source) for source in sources]


@strawberry.type
class MessageEdge:
    node: Message
    cursor: str

    @classmethod
    def of(cls, edge: Edge[model.Message]) -> "MessageEdge":
        return cls(node=Message.of(edge.node), cursor=edge.cursor)


@strawberry.type(description="A page of messages, oldest first, whichever end it was read from.")
class MessageConnection:
    edges: list[MessageEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, page: Page[model.Message]) -> "MessageConnection":
        return cls(edges=[MessageEdge.of(edge) for edge in page.edges], page_info=PageInfo.of(page))


@strawberry.type
class MessageQuery:
    @strawberry.field(
        description="The messages of a chat session, oldest first: 20 unless told, 100 at most. "
        "`last` and `before` page backwards from the end."
    )
    async def messages(
        self,
        info: Info,
        session_id: strawberry.ID,
        first: int | None = strawberry.UNSET,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
    ) -> MessageConnection:
        page = PageRequest.of(given(first), given(after), given(last), given(before))
        chat_id = key_of(CHAT_SESSION, "sessionId", session_id)
        return MessageConnection.of(await info.context.load.messages(chat_id, page))

    @strawberry.field(description="What one answer was written from, in citation order.")
    async def sources(self, info: Info, message_id: strawberry.ID) -> list[Source]:
        viewer = await info.context.viewer()
        key = key_of(MESSAGE, "messageId", message_id)
        return sources_of(await info.context.services.chats.sources(viewer, key))


@strawberry.type
class MessageMutation:
    @strawberry.mutation(description="Replaces the viewer's rating of an answer; NONE takes it back.")
    async def rate_message(
        self, info: Info, message_id: strawberry.ID, rating: Rating, comment: str | None = strawberry.UNSET
    ) -> Message:
        viewer = await info.context.viewer()
        key = key_of(MESSAGE, "messageId", message_id)
        return Message.of(await info.context.services.chats.rate(viewer, key, rating, given(comment)))
