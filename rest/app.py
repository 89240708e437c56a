"""The application of the REST face, to be mounted at /api/v1."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from domain.errors import DeskError
from domain.services import Services
from live_body import MAX_HEARTBEAT
from rest.auth import add_auth
from rest.chat import add_chat
from rest.docs import add_docs
from rest.envelope import Envelope
from rest.errors import ErrorBody, on_desk_error, on_http_exception, on_validation_error
from rest.route import DeskRoute, register_row_ids
from rest.shapes import Json
from rest.turns import add_turns
from settings import Settings


def create_rest(services: Callable[[], Services], settings: Settings) -> FastAPI:
    """`services` is asked at each request: they exist from the application's start to its end."""
    register_row_ids()
    app = FastAPI(
        title="Answerdesk",
        version="1",
        description="Ask a desk of specialised agents, and check their sources.",
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": name} for name in ("auth", "chat", "turns")],
        redirect_slashes=False,
        default_response_class=Json,
        responses={"default": {"model": ErrorBody, "description": "Any failure."}},
        middleware=[Middleware(Envelope)],
        exception_handlers={
            DeskError: on_desk_error,
            HTTPException: on_http_exception,
            RequestValidationError: on_validation_error,
        },
    )
    app.router.route_class = DeskRoute
    for add in (add_turns, add_chat, add_auth, add_docs):  # looked for in this order, so the busiest come first
        add(app)
    app.state.services = services
    app.state.max_request_bytes = settings.max_request_bytes
    app.state.heartbeat = min(settings.sse_heartbeat_seconds, MAX_HEARTBEAT)
    return app
