"""/chat/message and /chat/turns: asking, following the answer from any event on, stopping it."""

from contextlib import ExitStack, aclosing
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query
from starlette.responses import Response

from domain.errors import BadUserInput, Internal
from domain.events import TERMINAL
from domain.model import Message, Turn, TurnError, TurnStatus, Viewer
from domain.services import Services
from rest.bodies import MessageBody, RegenerateBody
from rest.errors import ErrorResponse, request_id_of
from rest.requests import JSON, DeskRequest
from rest.route import EVENT_STREAM, require_acceptable
from rest.shapes import AnswerShape, Json, TurnShape, source_shapes, turn_shape, usage_shape
from rest.sse import EventStream
from rest.viewer import SignedIn

TurnId = Annotated[int, Path()]
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turn's events, see docs/PROTOCOL.md",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
    }
}


def add_turns(app: FastAPI) -> None:
    add = partial(app.add_api_route, tags=["turns"])
    for path, older in (("/chat/message", False), ("/chat/chat-lg", True)):
        # The form of the answer is the body's to choose, so the route itself names none.
        add(
            path,
            send_message,
            methods=["POST"],
            response_class=Response,
            responses={200: {**_EVENTS[200], "model": AnswerShape}},
            deprecated=older,
        )
    add(
        "/chat/turns/{turn_id:row_id}/events",
        follow,
        methods=["GET"],
        response_class=Response,
        responses=_EVENTS,
    )
    add("/chat/turns/{turn_id:row_id}/stop", stop, methods=["POST"], response_model=TurnShape)
    add("/chat/messages/{message_id:row_id}/regenerate", regenerate, methods=["POST"], response_model=TurnShape)


async def send_message(request: DeskRequest, viewer: SignedIn, body: MessageBody) -> Response:
    """Asks. The answer comes as events or, with `stream` false, as one JSON object once it is whole.

    The turn does not depend on this connection: when it breaks, the events are still there to be followed.
    """
    require_acceptable(request, EVENT_STREAM if body.stream else JSON)
    with ExitStack() as place:
        place.enter_context(request.desk.streams.places.stream(viewer.user_id, request.address))
        try:
            turn = await request.desk.turns.send(
                viewer, body.chat_id, body.message, body.client_message_id, body.agents, body.on_busy
            )
        except BadUserInput as unfit:
            fields: dict[str, str] = unfit.details["fields"]
            raise BadUserInput(
                fields={"message" if name == "text" else name: why for name, why in fields.items()}
            ) from None
        if body.stream:
            return _stream(request, viewer, turn, 0, place.pop_all())
        return await _whole_answer(request, viewer, turn)


async def follow(
    request: DeskRequest,
    viewer: SignedIn,
    turn_id: TurnId,
    after: Annotated[int, Query(ge=0, lt=10**18, description="The last event that is known already.")] = 0,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{0,18}$", description="As `after`, and before it.")] = "",
) -> Response:
    """A turn's events from any point on, running or ended long ago: those that were, then those that come."""
    require_acceptable(request, EVENT_STREAM)
    with ExitStack() as place:
        place.enter_context(request.desk.streams.places.stream(viewer.user_id, request.address))
        turn = await request.desk.turns.get(viewer, turn_id)  # what is not there is a 404, not a stream
        return _stream(request, viewer, turn, int(last_event_id) if last_event_id else after, place.pop_all())


async def stop(request: DeskRequest, viewer: SignedIn, turn_id: TurnId) -> Response:
    """Ends generation, keeping what was written. A turn that has ended stays as it is."""
    return Json(turn_shape(await request.desk.turns.stop(viewer, turn_id), request.desk.agents))


async def regenerate(
    request: DeskRequest, viewer: SignedIn, message_id: Annotated[int, Path()], body: RegenerateBody | None = None
) -> Response:
    """Answers a question anew, and returns the turn that does: its events are there to be followed. The message is an
    answer, or the question; the answers before stay, as versions."""
    asked = body or RegenerateBody()
    turn = await request.desk.turns.regenerate(viewer, message_id, asked.client_message_id, asked.on_busy)
    return Json(turn_shape(turn, request.desk.agents))


def _stream(request: DeskRequest, viewer: Viewer, turn: Turn, after: int, place: ExitStack) -> EventStream:
    heartbeat: float = request.app.state.heartbeat
    return EventStream(request.desk.turns.follow(viewer, turn, after), request.desk.agents, heartbeat, place)


async def _whole_answer(request: DeskRequest, viewer: Viewer, begun: Turn) -> Response:
    message = await _last_message(request.desk, viewer, begun)
    turn = await request.desk.turns.get(viewer, begun.id)
    if turn.status in (TurnStatus.FAILED, TurnStatus.INTERRUPTED):
        error = turn.error or TurnError.of(Internal())
        details = {"turn_id": turn.id, "message_id": message.id}
        if error.retry_after is not None:
            details["retry_after"] = error.retry_after
        return ErrorResponse(error.code, error.message, error.retryable, request_id_of(request), details)
    return Json(_answer(turn, message))


async def _last_message(desk: Services, viewer: Viewer, turn: Turn) -> Message:
    """Waits for the turn's end. The client may go meanwhile: nobody is asked to stop."""
    async with aclosing(desk.turns.follow(viewer, turn)) as batches:
        async for batch in batches:
            if isinstance(last := batch[-1], TERMINAL):
                return last.message
    raise Internal("The turn ended without its last event.")


def _answer(turn: Turn, message: Message) -> AnswerShape:
    return AnswerShape(
        turn_id=turn.id,
        message_id=message.id,
        answer=message.text,
        agents=[route.agent for route in turn.routes],
        sources=source_shapes(message.sources),
        usage=usage_shape(turn.usage),
        groundedness=turn.groundedness,
    )
