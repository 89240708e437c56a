"""From rows to the domain's data and back."""

import unicodedata
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row

from db.tables import ChatRow, MessageRow, SourceRow, UserRow
from domain.model import ChatSession, Message, Route, RouteMethod, RunnerUp, Source, Span, Turn, TurnError, Usage, User

AnyRow = Row[*tuple[Any, ...]] | SimpleNamespace
"""What has the columns as attributes."""
CHOSEN = "Chosen by the client."
"""The reason of routes that the client chose, before they said so themselves."""


def same_for_people(text: str) -> str:
    """Equal for texts that differ only in case or in the way their characters are encoded: Unicode's
    toNFKC_Casefold, without its removal of ignorable characters (The Unicode Standard, section 3.13)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def to_user(row: UserRow) -> User:
    return User(row.id, row.username, row.email, row.created_at)


def to_chat(row: ChatRow, active_turn_id: int | None = None) -> ChatSession:
    return ChatSession(row.id, row.title, row.created_at, row.updated_at, active_turn_id)


def to_message(row: MessageRow | AnyRow) -> Message:
    """Without its sources."""
    return Message(
        id=row.id,
        chat_id=row.chat_id,
        turn_id=row.turn_id,
        role=row.role,
        text=row.text,
        created_at=row.created_at,
        rating=row.rating,
    )


def to_source(row: SourceRow | AnyRow) -> Source:
    return Source(
        message_id=row.message_id,
        ordinal=row.ordinal,
        agent=row.agent,
        document_id=row.document_id,
        title=row.title,
        url=row.url,
        excerpt=row.excerpt,
        score=row.score,
        spans=tuple(Span(start, end) for start, end, *_ in row.spans),
        document_spans=tuple(Span(*rest[:2]) if len(rest) >= 2 else None for _, _, *rest in row.spans),
        flagged=bool(row.flagged),
    )


def from_source(source: Source) -> dict[str, Any]:
    return {
        "message_id": source.message_id,
        "ordinal": source.ordinal,
        "agent": source.agent,
        "document_id": source.document_id,
        "title": source.title,
        "url": source.url,
        "excerpt": source.excerpt,
        "score": source.score,
        "spans": [
            [span.start, span.end, *([said.start, said.end] if said else [])]
            for span, said in zip(source.spans, source.document_spans, strict=True)
        ],
        "flagged": source.flagged,
    }


def to_turn(row: AnyRow) -> Turn:
    usage = error = None
    if row.prompt_tokens is not None and row.completion_tokens is not None:
        usage = Usage(row.prompt_tokens, row.completion_tokens)
    if row.error_code is not None:
        told = row.error_message or ""
        error = TurnError(row.error_code, told, bool(row.error_retryable), row.error_retry_after)
    return Turn(
        id=row.id,
        chat_id=row.chat_id,
        status=row.status,
        created_at=row.created_at,
        agents=tuple(row.agents),
        standalone_question=row.standalone_question,
        routes=tuple(_to_route(route) for route in row.routes),
        usage=usage,
        error=error,
        ended_at=row.ended_at,
        groundedness=row.groundedness,
    )


def from_routes(routes: Sequence[Route]) -> list[dict[str, Any]]:
    return [_from_route(route) for route in routes]


def _from_route(route: Route) -> dict[str, Any]:
    told = {"agent": route.agent, "confidence": route.confidence, "reason": route.reason, "method": route.method}
    if second := route.runner_up:
        told["runner_up"] = {"agent": second.agent, "confidence": second.confidence}
    return told


def _to_route(stored: Mapping[str, Any]) -> Route:
    """As any release stored it (docs/decisions/0038): what this one does not know is passed over, and what is not there
    has its default. Routes of before 2026-11-23 do not say who decided: the embedded router, if not the client."""
    confidence, reason = stored.get("confidence", 0.0), stored.get("reason", "")
    inferred = RouteMethod.CLIENT if confidence == 1 and reason == CHOSEN else RouteMethod.EMBEDDED
    second = stored.get("runner_up")
    runner_up = RunnerUp(second["agent"], second.get("confidence", 0.0)) if second else None
    return Route(stored["agent"], confidence, reason, RouteMethod(stored.get("method", inferred)), runner_up)


def from_error(error: TurnError) -> dict[str, Any]:
    return {
        "error_code": error.code,
        "error_message": error.message,
        "error_retryable": error.retryable,
        "error_retry_after": error.retry_after,
    }
