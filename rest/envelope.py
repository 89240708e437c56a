"""What goes round every exchange: its request id, and the last resort for exceptions that nobody expected."""

import re
import secrets

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import Internal
from rest.errors import error_response

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_log = structlog.get_logger()


class Envelope:
    """ASGI middleware. A client's own `X-Request-ID` is kept when it is short and plain; else one is made. It is in
    the answer's header, in an error's body and in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)  # servers call with a context for each exchange
        try:
            await self._app(scope, receive, send_with_id)
        except Exception as failure:
            if started:
                raise  # The server cuts the connection: half an answer must not look like a whole one.
            _log.error("request_failed", path=scope["path"], request_id=request_id, exc_info=failure)
            await error_response(Internal(), Request(scope))(scope, receive, send_with_id)


def _request_id(sent: str | None) -> str:
    return sent if sent is not None and _SANE.fullmatch(sent) else secrets.token_hex(16)
