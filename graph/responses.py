"""What is said over HTTP beside a stream: results, refusals and failures, with the headers that belong to them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from graphql import GraphQLError
from starlette.responses import Response
from strawberry.types import ExecutionResult

from domain.errors import DeskError, MethodNotAllowed, Unauthenticated, UnsupportedMediaType
from graph.answers import answer_of, encode, is_request_error
from graph.context import DeskContext
from graph.errors import STATUS, tell_all, tell_desk_error
from graph.negotiation import GRAPHQL_JSON, JSON, choose
from graph.requests import IDENTITY

RETRY_AFTER = 5
"""Seconds, for a service that is away: as long as a restart takes. A rate limit says its own."""
_TRY_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def result_response(result: ExecutionResult, context: DeskContext, form: str) -> Response:
    refused = is_request_error(result) and form == GRAPHQL_JSON
    return _response(answer_of(result, context), HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK, form)


def refusal(errors: Sequence[GraphQLError], status: HTTPStatus, request_id: str, accept: str) -> Response:
    """Of an operation that is no use to run."""
    return _response({"errors": tell_all(errors, request_id)}, status, _form(accept))


def problem(error: DeskError, request_id: str, accept: str, methods: str) -> Response:
    """A request that could not be taken, told in the form of a GraphQL answer. `methods` are those that the address
    takes."""
    status = STATUS[error.code]
    response = _response({"errors": [tell_desk_error(error, request_id)]}, status, _form(accept))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = methods
    elif isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, UnsupportedMediaType):
        response.headers["Accept-Post"] = JSON
        response.headers["Accept-Encoding"] = IDENTITY
    elif status in _TRY_LATER:
        response.headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER))
    return response


def _form(accept: str) -> str:
    return choose(accept, (JSON, GRAPHQL_JSON)) or JSON


def _response(answer: dict[str, Any], status: int, form: str) -> Response:
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    return Response(encode(answer), status, headers, media_type=f"{form}; charset=utf-8")
