"""The application of the REST face, to be mounted at /api/v1."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from domain.errors import DeskError
from domain.services import Services
from live_body import MAX_HEARTBEAT
from rest.auth import auth_router
from rest.chat import chat_router
from rest.docs import add_docs
from rest.envelope import Envelope
from rest.errors import ErrorBody, on_desk_error, on_http_exception, on_validation_error
from rest.route import register_row_ids
from rest.shapes import Json
from rest.turns import turns_router
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
    add_docs(app)
    app.state.routes = list(app.routes)
    for router in (auth_router(), chat_router(), turns_router()):
        app.include_router(router)
        app.state.routes += router.routes
    app.state.services = services
    app.state.max_request_bytes = settings.max_request_bytes
    app.state.heartbeat = min(settings.sse_heartbeat_seconds, MAX_HEARTBEAT)
    return app
