"""The schema: every noun's part of Query, Mutation and Subscription put together."""

from datetime import datetime
from functools import cache

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from domain.errors import NotFound
from graph.accounts import AccountMutation, AccountQuery, User
from graph.agents import AgentQuery
from graph.chats import ChatMutation, ChatQuery, ChatSession
from graph.context import Info
from graph.deltas import DeltaExecutor
from graph.documents import KeptDocuments
from graph.events import EVENT_TYPES, Subscription
from graph.ids import CHAT_SESSION, MESSAGE, SOURCE, TURN, USER, decode_id
from graph.messages import Message, MessageMutation, MessageQuery, Source
from graph.nodes import DATE_TIME, Node
from graph.turns import Turn, TurnMutation


@strawberry.type
class Query(AgentQuery, MessageQuery, ChatQuery, AccountQuery):
    @strawberry.field(description="Anything of the viewer's by its id; null when there is nothing with that id.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        try:
            return await _find(info, id)
        except NotFound:
            return None


@strawberry.type
class Mutation(MessageMutation, TurnMutation, ChatMutation, AccountMutation):
    pass


class DeskSchema(strawberry.Schema):
    """Strawberry's, without its own logging of errors: `graph.errors` logs what it masks, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


@cache
def create_schema() -> DeskSchema:
    """The one schema of the process: it holds no state of a server's."""
    return DeskSchema(
        Query,
        Mutation,
        Subscription,
        types=EVENT_TYPES,
        extensions=[KeptDocuments],
        execution_context_class=DeltaExecutor,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )


def schema_text() -> str:
    """The schema in SDL, as `schema.graphql` holds it."""
    return create_schema().as_str() + "\n"


async def _find(info: Info, global_id: str) -> Node:
    """Raises BadUserInput or NotFound."""
    context, services = info.context, info.context.services
    viewer = await context.viewer()
    kind, key = decode_id("id", global_id)
    if kind == USER and key[0] == viewer.user_id:
        return User.of(await services.accounts.me(viewer))
    if kind == CHAT_SESSION:
        return ChatSession.of(await services.chats.get(viewer, key[0]))
    if kind == TURN:
        return Turn.of(await services.turns.get(viewer, key[0]))
    if kind == MESSAGE:
        found = (await services.chats.message_batch(viewer, key)).get(key[0])
        if found is not None:
            return Message.of(found)
    if kind == SOURCE:
        message_id, ordinal = key
        for source in await services.chats.sources(viewer, message_id):
            if source.ordinal == ordinal:
                return Source.of(source)
    raise NotFound
