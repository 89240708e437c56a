"""What an HTTP request asks for, read strictly: whatever is not a GraphQL request is refused with its reason.

After GraphQL over HTTP, § 5 (https://graphql.github.io/graphql-over-http/draft/). Only `application/json` bodies are
taken: a page on another origin cannot send one without asking first, so no form can act in a user's name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import GraphQLError
from starlette.requests import Request

from domain.errors import BadUserInput, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType
from graph.negotiation import JSON

IDENTITY = "identity"
"""The content coding that is none."""
SHA256 = "sha256:"
"""What the id of a document begins with when it is the hash of its text."""
DOCUMENT_ID = re.compile(r"[A-Za-z0-9._~-]+(:[A-Za-z0-9._~:-]+)?")
"""After the appendix on persisted documents."""
LAST_EVENT_ID = re.compile(r"[0-9]{0,9}")
"""Its number fits GraphQL's Int, as every `seq` does."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request's document, which of its operations is meant, and the variables for it. `query` is "" where only a
    `document_id` stands for the text; `automatic` says that this is a hash in the way of automatic persisted queries.
    `refusal` is why it may not run, where that is known before its document is read."""

    query: str
    name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None
    automatic: bool = False
    refusal: GraphQLError | None = None


async def read_operation(request: Request, max_bytes: int) -> Operation:
    """Raises MethodNotAllowed, UnsupportedMediaType, PayloadTooLarge or BadUserInput."""
    if request.method == "GET":
        return _from_parameters(parameters_of(request))
    if request.method != "POST":
        raise MethodNotAllowed("GraphQL is asked with GET or POST.")
    _check_content_type(_all(request, "content-type"))
    _check_content_encoding(_all(request, "content-encoding"))
    body = decode_json(await _read_body(request, max_bytes))
    if isinstance(body, list):
        raise BadUserInput("Several operations in one request (batching) are not taken: send one JSON object.")
    if not isinstance(body, dict):
        raise BadUserInput("The request body must be a JSON object.")
    return operation_of(body)


def operation_of(members: Mapping[str, Any]) -> Operation:
    """From the members of a request's JSON object. Raises BadUserInput."""
    query, name = members.get("query"), members.get("operationName")
    variables, extensions = members.get("variables"), members.get("extensions")
    if not isinstance(query, str | None):
        raise BadUserInput("`query` must be a string.")
    if not isinstance(name, str | None):
        raise BadUserInput("`operationName` must be a string or null.")
    if not isinstance(variables, dict | None):
        raise BadUserInput("`variables` must be an object or null.")
    if not isinstance(extensions, dict | None):
        raise BadUserInput("`extensions` must be an object or null.")
    document_id, digest = _document_id(members), _digest(extensions or {})
    if not (query or document_id or digest):
        raise BadUserInput("`query` is missing.")
    if document_id and digest and document_id.removeprefix(SHA256) != digest:
        raise BadUserInput("`documentId` and `extensions.persistedQuery` name different documents.")
    check_text([query, name, variables, extensions])
    return Operation(query or "", name or None, variables, extensions, document_id or digest, digest is not None)


def _document_id(members: Mapping[str, Any]) -> str | None:
    given = members.get("documentId")
    if given is None or (isinstance(given, str) and DOCUMENT_ID.fullmatch(given)):
        return given
    raise BadUserInput("`documentId` must be the id of a document, such as `sha256:` and a hash.")


def _digest(extensions: Mapping[str, Any]) -> str | None:
    given = extensions.get("persistedQuery")
    if given is None:
        return None
    digest = given.get("sha256Hash") if isinstance(given, dict) and given.get("version") == 1 else None
    if isinstance(digest, str) and digest:
        return digest
    raise BadUserInput("`extensions.persistedQuery` must be an object with `version` 1 and a `sha256Hash`.")


def decode_json(data: bytes | str) -> Any:
    """Raises BadUserInput. Half a character (a lone surrogate) passes: `check_text` tells that one apart."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadUserInput("The request body is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise BadUserInput("The request body is not JSON.") from error


def check_text(value: Any) -> None:
    """Raises BadUserInput when a string in it holds half a character, or it is nested beyond reason."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        reason = "A string holds half a character (a lone surrogate)." if "surrogate" in str(error) else str(error)
        raise BadUserInput(reason) from error


def accept_of(request: Request) -> str:
    """What the client takes, from all the lines that say so; "" when none does."""
    return _all(request, "accept")


def last_event_id(request: Request) -> int | None:
    """The cursor that a reader of server-sent events reconnects with; an empty one counts as none. Raises
    BadUserInput."""
    value = request.headers.get("last-event-id", "")
    if not LAST_EVENT_ID.fullmatch(value):
        raise BadUserInput(fields={"last-event-id": "must be the `id` of an event, a whole number"})
    return int(value) if value else None


def parameters_of(request: Request) -> dict[str, str]:
    """Of its address, which uvicorn bounds at 64 KiB. Starlette's own reading puts U+FFFD for what is not UTF-8. Raises
    BadUserInput."""
    query: bytes = request.scope["query_string"]
    try:
        return dict(parse_qsl(query.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise BadUserInput("The address is not UTF-8.") from error


def _from_parameters(parameters: Mapping[str, str]) -> Operation:
    """GET: an empty parameter counts as absent."""
    members: dict[str, Any] = {name: value for name, value in parameters.items() if value}
    for name in ("variables", "extensions"):
        if name in members:
            try:
                members[name] = decode_json(members[name])
            except BadUserInput as error:
                raise BadUserInput(f"`{name}` is not JSON.") from error
    return operation_of(members)


def _check_content_type(header: str) -> None:
    if header == JSON:  # by far the most; to read one properly costs as much as the rest of a small request
        return
    message = Message()
    message["content-type"] = header
    if message.get_content_type() != JSON or not header.strip():
        raise UnsupportedMediaType(f"The Content-Type must be {JSON}.")
    if str(message.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("The charset must be UTF-8.")


def _check_content_encoding(header: str) -> None:
    """A small body can unpack to a large one, so none is unpacked; nor is a label believed in part."""
    if header.strip().lower() not in ("", IDENTITY):
        raise UnsupportedMediaType("Bodies are taken as they are, not compressed.")


def _all(request: Request, name: str) -> str:
    """A header's lines as one (RFC 9110 § 5.3)."""
    return ", ".join(request.headers.getlist(name))


async def _read_body(request: Request, max_bytes: int) -> bytes:
    too_large = PayloadTooLarge(f"The request body is larger than {max_bytes:,} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
