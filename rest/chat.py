"""/chat: chat sessions, their messages, the sources of answers, the agents."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from domain.model import Message, Role, Viewer
from domain.pages import MAX_PAGE, PageRequest
from domain.services import Services
from rest.bodies import ChatTitle, NewChatBody
from rest.requests import DeskRequest
from rest.shapes import (
    AgentShape,
    DocumentShape,
    Json,
    MessagePage,
    MessageShape,
    NewChatShape,
    SessionPage,
    SessionShape,
    SourceShape,
    agent_shape,
    document_shape,
    message_shape,
    session_shape,
    source_shapes,
)
from rest.viewer import SignedIn

ChatId = Annotated[int, Path()]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]


def add_chat(app: FastAPI) -> None:
    add = partial(app.add_api_route, tags=["chat"])
    add("/chat/new-chat", new_chat, methods=["POST"], status_code=201, response_model=NewChatShape)
    add("/chat/sessions", sessions, methods=["GET"], response_model=SessionPage)
    add("/chat/agents", agents, methods=["GET"], response_model=list[AgentShape])
    add("/chat/{chat_id:row_id}", rename, methods=["PATCH"], response_model=SessionShape)
    add("/chat/{chat_id:row_id}", delete, methods=["DELETE"], status_code=204, response_class=Response)
    add("/chat/{chat_id:row_id}/messages", messages, methods=["GET"], response_model=MessagePage)
    add("/chat/messages/{message_id:row_id}/sources", sources, methods=["GET"], response_model=list[SourceShape])
    add("/chat/messages/{message_id:row_id}/versions", versions, methods=["GET"], response_model=list[MessageShape])
    add("/chat/documents/{agent}/{document_id:path}", document, methods=["GET"], response_model=DocumentShape)


async def new_chat(request: DeskRequest, viewer: SignedIn, body: NewChatBody | None = None) -> Response:
    """Begins a chat. Without a title it is named by its first message."""
    chat = await request.desk.chats.create(viewer, body.title if body is not None else None)
    return Json(NewChatShape(chat_id=chat.id, title=chat.title, created_at=chat.created_at), 201)


async def sessions(
    request: DeskRequest,
    viewer: SignedIn,
    limit: Limit = 20,
    cursor: Cursor = None,
    search: Annotated[str | None, Query(description="Part of a title, in any case.")] = None,
) -> Response:
    """The viewer's chats, the most recently active first."""
    page = await request.desk.chats.list(viewer, PageRequest.of(first=limit, after=cursor or None), search)
    next_cursor = page.edges[-1].cursor if page.has_next else None
    return Json(SessionPage(items=[session_shape(chat) for chat in page.items], next_cursor=next_cursor))


async def agents(request: DeskRequest, viewer: SignedIn) -> Response:
    """The agents that the viewer may be routed to."""
    return Json([agent_shape(agent) for agent in request.desk.agents.visible_to(viewer.username)])


async def document(request: DeskRequest, viewer: SignedIn, agent: str, document_id: str) -> Response:
    """A document that a source names, as it is searched now."""
    return Json(document_shape(await request.desk.library.document(viewer, agent, document_id)))


async def rename(request: DeskRequest, viewer: SignedIn, chat_id: ChatId, body: ChatTitle) -> Response:
    """Gives a chat another title."""
    return Json(session_shape(await request.desk.chats.rename(viewer, chat_id, body.title)))


async def delete(request: DeskRequest, viewer: SignedIn, chat_id: ChatId) -> Response:
    """Deletes a chat with all that is in it. A turn that runs there is stopped first."""
    await request.desk.chats.delete(viewer, chat_id)
    return Response(status_code=204)


async def messages(
    request: DeskRequest, viewer: SignedIn, chat_id: ChatId, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """A chat's messages, oldest first, answers with their sources."""
    page = await request.desk.chats.messages(viewer, chat_id, PageRequest.of(first=limit, after=cursor or None))
    return Json(
        MessagePage(
            items=await _with_sources(request.desk, viewer, page.items),
            next_cursor=page.edges[-1].cursor if page.has_next else None,
        )
    )


async def sources(request: DeskRequest, viewer: SignedIn, message_id: Annotated[int, Path()]) -> Response:
    """What one answer rests on, in the order of citation."""
    return Json(source_shapes(await request.desk.chats.sources(viewer, message_id)))


async def versions(request: DeskRequest, viewer: SignedIn, message_id: Annotated[int, Path()]) -> Response:
    """All that was answered to the same question, oldest first; the last is the one that the chat's list shows."""
    return Json(await _with_sources(request.desk, viewer, await request.desk.chats.versions(viewer, message_id)))


async def _with_sources(desk: Services, viewer: Viewer, messages: Sequence[Message]) -> list[MessageShape]:
    answers = [message.id for message in messages if message.role is Role.ASSISTANT]
    found = await desk.chats.sources_batch(viewer, answers) if answers else {}
    return [message_shape(message, found.get(message.id, ())) for message in messages]
