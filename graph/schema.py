"""The schema: every noun's part of Query, Mutation and Subscription put together."""

from datetime import datetime
from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.execution import PreExecutionError

from graph.accounts import AccountMutation, AccountQuery, User
from graph.agents import AgentQuery
from graph.chats import ChatMutation, ChatQuery, ChatSession
from graph.context import Info
from graph.deltas import DeltaExecutor
from graph.documents import Documents
from graph.events import EVENT_TYPES, Subscription
from graph.ids import CHAT_SESSION, MESSAGE, SOURCE, TURN, USER, decode_id
from graph.library import LibraryQuery
from graph.limits import Limits
from graph.messages import Message, MessageMutation, MessageQuery, Source
from graph.nodes import DATE_TIME, Node
from graph.turns import Turn, TurnMutation


@strawberry.type
class Query(AgentQuery, LibraryQuery, MessageQuery, ChatQuery, AccountQuery):
    @strawberry.field(description="Anything of the viewer's by its id; null when there is nothing with that id.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return await _find(info, id)


@strawberry.type
class Mutation(MessageMutation, TurnMutation, ChatMutation, AccountMutation):
    pass


class DeskSchema(strawberry.Schema):
    """Strawberry's, without its own logging of errors: `graph.errors` logs what it masks, once. And it takes parsed and
    judged documents from `documents`, so that no text is read twice."""

    documents: Documents

    async def _prepare_operation_async(
        self, context: ExecutionContext, extensions_runner: SchemaExtensionsRunner
    ) -> PreExecutionError | None:
        if context.query:
            parsed = self.documents.parse(context.query)
            if isinstance(parsed, GraphQLError):
                context.pre_execution_errors = [parsed]
                return PreExecutionError(data=None, errors=[parsed])
            context.graphql_document = parsed
            context.pre_execution_errors = self._refusals(context, context.query)
        return await super()._prepare_operation_async(context, extensions_runner)

    def _refusals(self, context: ExecutionContext, text: str) -> list[GraphQLError] | None:
        """Instead of Strawberry's validation; None for an operation that the document does not have, which Strawberry
        refuses before it."""
        name = context._provided_operation_name
        if name is not None and self.documents.operation_type(text, name) is None:
            return None
        return self.documents.check(self._schema, text, name, context.variables or {}, context.validation_rules)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        pass


class ReticentExecutor(DeltaExecutor):
    """Its errors suggest no names of the schema."""

    @classmethod
    def build(cls, *args: Any, **options: Any) -> Any:
        return super().build(*args, **{**options, "hide_suggestions": True})


@cache
def create_schema(limits: Limits | None = None) -> DeskSchema:
    """The one schema of the process: it holds no state of a server's but the documents that it has read."""
    limits = limits or Limits()
    documents = Documents(limits)
    schema = DeskSchema(
        Query,
        Mutation,
        Subscription,
        types=EVENT_TYPES,
        execution_context_class=DeltaExecutor if limits.introspection else ReticentExecutor,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    schema.documents = documents
    return schema


def schema_text() -> str:
    """The schema in SDL, as `schema.graphql` holds it."""
    return create_schema().as_str() + "\n"


async def _find(info: Info, global_id: str) -> Node | None:
    """Raises BadUserInput for what is no id."""
    context, load = info.context, info.context.load
    viewer = await context.viewer()
    kind, key = decode_id("id", global_id)
    if kind == USER and key[0] == viewer.user_id:
        return User.of(await context.services.accounts.me(viewer))
    if kind == CHAT_SESSION and (chat := await load.chat(key[0])) is not None:
        return ChatSession.of(chat)
    if kind == TURN and (turn := await load.turn(key[0])) is not None:
        return Turn.of(turn)
    if kind == MESSAGE and (message := await load.message(key[0])) is not None:
        return Message.of(message)
    if kind == SOURCE:
        for source in await load.sources(key[0]):
            if source.ordinal == key[1]:
                return Source.of(source)
    return None
