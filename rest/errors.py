"""Errors as HTTP: the one table from codes to statuses, and the one body that every failure has.

{"error": {"code": "CHAT_BUSY", "message": "…", "retryable": true, "request_id": "…", "details": {"turn_id": 7}}}
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from domain.errors import (
    BadUserInput,
    DeskError,
    ErrorCode,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

STATUS: Mapping[ErrorCode, HTTPStatus] = {
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.BAD_USER_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.USERNAME_TAKEN: HTTPStatus.CONFLICT,
    ErrorCode.EMAIL_TAKEN: HTTPStatus.CONFLICT,
    ErrorCode.CHAT_BUSY: HTTPStatus.CONFLICT,
    ErrorCode.IDEMPOTENCY_MISMATCH: HTTPStatus.CONFLICT,
    ErrorCode.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    ErrorCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.CONTENT_FILTERED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.MODEL_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.SEARCH_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.DATABASE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.SERVICE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER = 5
"""Seconds, for a service that is away: as long as a restart takes. A rate limit says its own."""
_TRY_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_OF_STATUS: Mapping[int, type[DeskError]] = {
    400: BadUserInput,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    422: BadUserInput,
}
"""What the framework's own exceptions mean."""
_DEFAULT_MESSAGES: Mapping[int, str] = {400: "The body cannot be read.", 404: "There is nothing at this address."}


class ErrorInfo(TypedDict):
    """`code` is for programs, `message` for a person; `retryable` says whether the same request may succeed later."""

    code: ErrorCode
    message: str
    retryable: bool
    request_id: str
    details: dict[str, Any]


class ErrorBody(TypedDict):
    """The body of every answer that is not 2xx."""

    error: ErrorInfo


class ErrorResponse(Response):
    """The one body, with the status and the headers that belong to its code."""

    media_type = "application/json"

    def __init__(
        self, code: ErrorCode, message: str, retryable: bool, request_id: str, details: Mapping[str, Any] | None = None
    ) -> None:
        status = STATUS[code]
        details = dict(details or {})
        body = ErrorBody(
            error=ErrorInfo(code=code, message=message, retryable=retryable, request_id=request_id, details=details)
        )
        super().__init__(_encode(body), status, headers=_headers(status, retryable, details))


def error_response(error: DeskError, request: Request) -> ErrorResponse:
    return ErrorResponse(error.code, error.message, error.retryable, request_id_of(request), error.details)


def request_id_of(request: Request) -> str:
    """The name under which the log knows this request."""
    request_id: str = request.state.request_id
    return request_id


async def on_desk_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DeskError)  # noqa: S101 – for the type checker; it is registered for this class
    return error_response(error, request)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """The framework's own: an unknown path, another method, a body that cannot be read."""
    assert isinstance(error, HTTPException)  # noqa: S101
    kind = _OF_STATUS.get(error.status_code, Internal)
    stock = HTTPStatus(error.status_code).phrase
    # A detail that we wrote says more than the class does; the stock phrase of a status says less.
    message = (
        _DEFAULT_MESSAGES.get(error.status_code) if error.detail == stock or error.status_code == 400 else error.detail
    )
    response = error_response(kind(message), request)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


async def on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    fields: dict[str, str] = {}
    for problem in error.errors():
        fields.setdefault(_field(problem), _what_is_wrong(problem))
    return error_response(BadUserInput(fields=fields), request)


def _field(problem: Mapping[str, Any]) -> str:
    """`chat_id`, `agents.0`, or `body` when it is the whole of it."""
    place: Sequence[str | int] = problem["loc"]
    if problem["type"] == "json_invalid" or len(place) < 2:
        return str(place[0])
    return ".".join(str(part) for part in place[1:])


def _what_is_wrong(problem: Mapping[str, Any]) -> str:
    """So that it reads on after the field's name."""
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "json_invalid":
        return f"is not JSON: {problem['ctx']['error']}"
    message = str(problem["msg"]).removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _allowed_methods(request: Request) -> list[str]:
    """All methods of a path; the router names only those of the first route that fits."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return sorted({m for route in request.app.routes if route.path_regex.match(path) for m in route.methods})


def _headers(status: HTTPStatus, retryable: bool, details: Mapping[str, Any]) -> dict[str, str]:
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if status in _TRY_LATER and retryable:
        return {"Retry-After": str(details.get("retry_after", RETRY_AFTER))}
    return {}


def _encode(body: ErrorBody) -> bytes:
    """An error must always come through, even when it quotes what cannot be written as UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, default=str).encode()
