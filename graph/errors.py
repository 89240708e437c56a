"""How failures are told in GraphQL: `{message, locations, path, extensions: {code, retryable, request_id, details}}`,
with `extensions.after` where a turn's events can be had after that one, on another connection.

A failure that the domain names keeps its code. What the client did wrong in GraphQL itself has a code of this face:

    GRAPHQL_PARSE_FAILED           the document is not GraphQL
    GRAPHQL_VALIDATION_FAILED      it does not fit the schema
    OPERATION_RESOLUTION_FAILURE   it does not say which of its operations is meant
    PERSISTED_QUERY_NOT_FOUND      nothing is known by the id or hash that stands for it: send the text
    PERSISTED_QUERY_NOT_SUPPORTED  the same, where only trusted documents run: sending the text helps with those only
    PERSISTED_QUERY_HASH_MISMATCH  the id or hash beside it is another text's
    UNTRUSTED_DOCUMENT             only trusted documents run, and it is none
    STREAM_TAKEN                   somebody reads the reserved stream already
    OPERATION_ID_TAKEN             an operation with this id runs on the reserved stream already
    BAD_USER_INPUT                 a variable does not fit its type

Anything else is INTERNAL, with nothing of the exception in it; the log has it under the request id.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from graphql.language import VariableDefinitionNode
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.utils.str_converters import to_camel_case

from domain.errors import DeskError, ErrorCode, Internal
from graph.ids import TURN, encode_id

_log = structlog.get_logger()

STATUS: Mapping[ErrorCode, HTTPStatus] = {
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.BAD_USER_INPUT: HTTPStatus.BAD_REQUEST,
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
"""The HTTP status of a request that fails before GraphQL runs. Failures of fields do not change the status: GraphQL
answers them beside the data."""

MESSAGE_LENGTH = 1_000
"""Characters of a message that GraphQL's own checks wrote: they quote the client's input, which may be long."""


class GraphQLCode(StrEnum):
    """What can be wrong with a document before it runs."""

    PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    PERSISTED_QUERY_HASH_MISMATCH = "PERSISTED_QUERY_HASH_MISMATCH"
    UNTRUSTED_DOCUMENT = "UNTRUSTED_DOCUMENT"
    STREAM_TAKEN = "STREAM_TAKEN"
    OPERATION_ID_TAKEN = "OPERATION_ID_TAKEN"


def tell(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One entry of `errors`. Logs what is masked."""
    _log_masked((error,), request_id)
    return _told(error, request_id)


def tell_all(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """The entries of `errors`. Logs what is masked: one line for one failure, however many fields it stopped."""
    _log_masked(errors, request_id)
    return [_told(error, request_id) for error in errors]


def _log_masked(errors: Sequence[GraphQLError], request_id: str) -> None:
    stopped: dict[int, list[GraphQLError]] = {}
    for error in errors:
        cause = _cause(error)
        if _code_of_document(error, cause) is None and _named(cause) is None:
            stopped.setdefault(id(cause), []).append(error)
    for first, *more in stopped.values():
        _log.error(
            "graphql_failed", request_id=request_id, path=first.path, more_paths=len(more), exc_info=_cause(first)
        )


def _named(cause: Exception | None) -> DeskError | None:
    """None for what is to be masked."""
    return cause if isinstance(cause, DeskError) and cause.code is not ErrorCode.INTERNAL else None


def _told(error: GraphQLError, request_id: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    cause = _cause(error)
    code = _code_of_document(error, cause)
    if code is not None:
        told["message"] = _message_of_document(error, cause)
        told["extensions"] = {"code": code, "retryable": False, "request_id": request_id}
        if isinstance(error.extensions, dict) and "details" in error.extensions:
            told["extensions"]["details"] = error.extensions["details"]
    else:
        told |= tell_desk_error(_named(cause) or Internal(), request_id)
    if error.locations:
        told["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        told["path"] = error.path
    return told


def tell_desk_error(error: DeskError, request_id: str) -> dict[str, Any]:
    """An entry of `errors` for a failure that the domain names, in GraphQL's spelling of names and ids."""
    message = error.message
    details: dict[str, Any] = {}
    extensions: dict[str, Any] = {"code": error.code, "retryable": error.retryable, "request_id": request_id}
    for name, value in error.details.items():
        if name == "after":
            extensions["after"] = value
        elif name == "turn_id":
            details["turnId"] = encode_id(TURN, value)
        elif name == "fields":
            details["fields"] = {to_camel_case(field): why for field, why in value.items()}
            for field in value:
                message = message.replace(f"{field}: ", f"{to_camel_case(field)}: ")
        else:
            details[to_camel_case(name)] = value
    if any(details.values()):
        extensions["details"] = details
    return {"message": message, "extensions": extensions}


def _cause(error: GraphQLError) -> Exception | None:
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _code_of_document(error: GraphQLError, cause: Exception | None) -> str | None:
    """The code when the document or its variables are at fault, else None."""
    if isinstance(error, GraphQLSyntaxError):
        return GraphQLCode.PARSE_FAILED
    if isinstance(cause, RecursionError) and error.path is None:
        return GraphQLCode.PARSE_FAILED
    marked = (error.extensions or {}).get("code")
    if isinstance(marked, GraphQLCode):
        return marked
    if isinstance(cause, CannotGetOperationTypeError | InvalidOperationTypeError):
        return GraphQLCode.OPERATION_RESOLUTION_FAILURE
    about_variable = error.path is None and error.nodes and isinstance(error.nodes[0], VariableDefinitionNode)
    if about_variable or isinstance(cause, StrawberryInputCoercionError):
        return ErrorCode.BAD_USER_INPUT
    if cause is None or isinstance(cause, GraphQLError):
        return ErrorCode.BAD_USER_INPUT  # an argument that graphql-core refused while it executed
    return None


def _message_of_document(error: GraphQLError, cause: Exception | None) -> str:
    if isinstance(cause, RecursionError):
        return "The document is nested too deeply."
    if len(error.message) > MESSAGE_LENGTH:
        return error.message[:MESSAGE_LENGTH] + "…"
    return error.message
