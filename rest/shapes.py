"""What clients are sent: GraphQL's types in snake_case. Another object that GraphQL would resolve is its id here."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import orjson
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from domain import model
from domain.accounts import Grant
from domain.agents.catalog import Agent, AgentCatalog
from domain.knowledge import DocumentText


def encode(content: Any) -> bytes:
    """JSON on one line, domain values included: enums as their words, times as RFC 3339 with a Z."""
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


class Json(JSONResponse):
    """An answer that is not an error."""

    def render(self, content: Any) -> bytes:
        return encode(content)


class UserShape(TypedDict):
    id: int
    username: str
    email: str
    created_at: datetime


class GrantShape(TypedDict):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class NewChatShape(TypedDict):
    chat_id: int
    title: str
    created_at: datetime


class SessionShape(TypedDict):
    id: int
    chat_id: int
    title: str
    created_at: datetime
    updated_at: datetime
    active_turn_id: int | None


class SpanShape(TypedDict):
    """Half-open, in characters (code points)."""

    start: int
    end: int


class SourceShape(TypedDict):
    """`spans` are of the message's text, `document_spans`, one for each of them, of the document's. `flagged` says that
    something in the passage spoke to the assistant, and was withheld."""

    id: str
    ordinal: int
    agent: str
    document_id: str
    title: str
    url: str | None
    excerpt: str
    score: float
    spans: list[SpanShape]
    document_spans: list[SpanShape | None]
    flagged: bool


class MessageShape(TypedDict):
    id: int
    role: model.Role
    text: str
    created_at: datetime
    turn_id: int
    rating: model.Rating
    sources: list[SourceShape]


class AgentShape(TypedDict):
    name: str
    title: str
    description: str


class RunnerUpShape(TypedDict):
    agent: AgentShape
    confidence: float


class RouteShape(TypedDict):
    """`runner_up` is who would have been asked next, null where nobody else was weighed."""

    agent: AgentShape
    confidence: float
    reason: str
    method: model.RouteMethod
    runner_up: RunnerUpShape | None


class UsageShape(TypedDict):
    prompt_tokens: int
    completion_tokens: int


class TurnErrorShape(TypedDict):
    """`retry_after` is in seconds, null where nobody said."""

    code: str
    message: str
    retryable: bool
    retry_after: int | None


class TurnShape(TypedDict):
    id: int
    status: model.TurnStatus
    standalone_question: str | None
    routes: list[RouteShape]
    usage: UsageShape | None
    error: TurnErrorShape | None
    groundedness: float | None


class DocumentShape(TypedDict):
    """`text` is what `document_spans` are ranges of: somebody's words, to be shown as they are."""

    agent: str
    document_id: str
    title: str
    url: str | None
    updated: date | None
    text: str


class AnswerShape(TypedDict):
    """A whole turn at once. `agents` are the names of those that were asked; `groundedness` is the part of what the
    answer states that its sources support."""

    turn_id: int
    message_id: int
    answer: str
    agents: list[str]
    sources: list[SourceShape]
    usage: UsageShape | None
    groundedness: float | None


class SessionPage(TypedDict):
    items: list[SessionShape]
    next_cursor: str | None


class MessagePage(TypedDict):
    items: list[MessageShape]
    next_cursor: str | None


def user_shape(user: model.User) -> UserShape:
    return UserShape(id=user.id, username=user.username, email=user.email, created_at=user.created_at)


def grant_shape(grant: Grant) -> GrantShape:
    return GrantShape(
        access_token=grant.access_token,
        token_type="bearer",  # noqa: S106 – a kind of token
        expires_in=grant.expires_in,
        refresh_token=grant.refresh_token,
    )


def session_shape(chat: model.ChatSession) -> SessionShape:
    return SessionShape(
        id=chat.id,
        chat_id=chat.id,
        title=chat.title,
        created_at=chat.created_at,
        updated_at=chat.updated_at,
        active_turn_id=chat.active_turn_id,
    )


def source_shapes(sources: Sequence[model.Source]) -> list[SourceShape]:
    return [
        SourceShape(
            id=source.id,
            ordinal=source.ordinal,
            agent=source.agent,
            document_id=source.document_id,
            title=source.title,
            url=source.url,
            excerpt=source.excerpt,
            score=source.score,
            spans=[_span_shape(span) for span in source.spans],
            document_spans=[_span_shape(span) if span else None for span in source.document_spans],
            flagged=source.flagged,
        )
        for source in sources
    ]


def _span_shape(span: model.Span) -> SpanShape:
    return SpanShape(start=span.start, end=span.end)


def message_shape(message: model.Message, sources: Sequence[model.Source] | None = None) -> MessageShape:
    """With `sources`, or with those that the message carries."""
    return MessageShape(
        id=message.id,
        role=message.role,
        text=message.text,
        created_at=message.created_at,
        turn_id=message.turn_id,
        rating=message.rating,
        sources=source_shapes(message.sources if sources is None else sources),
    )


def agent_shape(agent: Agent) -> AgentShape:
    return AgentShape(name=agent.name, title=agent.title, description=agent.description)


def route_shapes(routes: Sequence[model.Route], catalog: AgentCatalog) -> list[RouteShape]:
    return [
        RouteShape(
            agent=_named_agent(route.agent, catalog),
            confidence=route.confidence,
            reason=route.reason,
            method=route.method,
            runner_up=_runner_up_shape(route.runner_up, catalog),
        )
        for route in routes
    ]


def _runner_up_shape(second: model.RunnerUp | None, catalog: AgentCatalog) -> RunnerUpShape | None:
    if second is None:
        return None
    return RunnerUpShape(agent=_named_agent(second.agent, catalog), confidence=second.confidence)


def _named_agent(name: str, catalog: AgentCatalog) -> AgentShape:
    """An old turn may name an agent that is not there any more."""
    try:
        return agent_shape(catalog.get(name))
    except KeyError:
        return AgentShape(name=name, title=name, description="")


def usage_shape(usage: model.Usage | None) -> UsageShape | None:
    if usage is None:
        return None
    return UsageShape(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)


def turn_error_shape(error: model.TurnError | None) -> TurnErrorShape | None:
    if error is None:
        return None
    return TurnErrorShape(
        code=error.code, message=error.message, retryable=error.retryable, retry_after=error.retry_after
    )


def turn_shape(turn: model.Turn, catalog: AgentCatalog) -> TurnShape:
    return TurnShape(
        id=turn.id,
        status=turn.status,
        standalone_question=turn.standalone_question,
        routes=route_shapes(turn.routes, catalog),
        usage=usage_shape(turn.usage),
        error=turn_error_shape(turn.error),
        groundedness=turn.groundedness,
    )


def document_shape(document: DocumentText) -> DocumentShape:
    return DocumentShape(
        agent=document.agent,
        document_id=document.id,
        title=document.title,
        url=document.url,
        updated=document.updated,
        text=document.text,
    )
