"""How a request is taken in, the same for every route: who asks, then what forms are understood, then the body.

FastAPI reads a body before it asks dependencies anything; here nothing of an unknown client's body is looked at.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from fastapi import params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import NotAcceptable, PayloadTooLarge, UnsupportedMediaType
from rest.viewer import authenticate, signed_in

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
URLENCODED = "application/x-www-form-urlencoded"
_FORMS = (URLENCODED, "multipart/form-data")
_MAX_FORM_FIELDS = 100


class RowId(Convertor[int]):
    """Digits that a database's 64-bit integer holds. Any other text is no row's id, so no address either."""

    regex: ClassVar[str] = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


def register_row_ids() -> None:
    """Makes `{name:row_id}` known to paths."""
    register_url_convertor("row_id", RowId())


class DeskRequest(Request):
    """Bodies are read within the limit, and strictly: UTF-8, and JSON as RFC 8259 has it (no NaN, no lone surrogates)."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        limit: int = self.app.state.max_request_bytes
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > limit:
                raise HTTPException(413)
            yield chunk

    async def json(self) -> Any:
        """Raises json.JSONDecodeError, which orjson's error is one of."""
        return orjson.loads(await self.body())

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override]
        """Starlette reads the bytes of a urlencoded form as Latin-1; curl sends them as they were typed, in UTF-8."""
        if _media_type(self) != URLENCODED:
            return await super().form(**limits)
        try:
            text = (await self.body()).decode()
            return FormData(
                dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS))
            )
        except ValueError as error:
            raise HTTPException(422, "The form cannot be read: it must be UTF-8, with few fields.") from error


class DeskRoute(APIRoute):
    """A route whose checks come in the order 401, 406, 415, 413, 422."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        needs_viewer = _asks_for_viewer(self.dependant)
        produced = _produced(self.response_class)
        body = self.body_field

        async def take_in(request: Request) -> Response:
            if needs_viewer:
                request.state.viewer = await authenticate(request)
            if produced is not None:
                require_acceptable(request, produced)
            if body is not None and _has_body(request):
                _require_readable(request, isinstance(body.field_info, params.Form))
            return await handle(DeskRequest(request.scope, request.receive))

        return take_in


def require_acceptable(request: Request, media_type: str) -> None:
    """Raises NotAcceptable when the client's Accept header rules `media_type` out (RFC 9110, section 12.5.1)."""
    ranges = ",".join(request.headers.getlist("accept"))
    if ranges.strip() and _quality(media_type, ranges) <= 0:
        raise NotAcceptable(f"The answer is {media_type}, which the Accept header rules out.", available=[media_type])


def _quality(media_type: str, ranges: str) -> float:
    """The weight that the most specific range gives to the type; 0 when none fits."""
    fitting = {media_type: 2, f"{media_type.partition('/')[0]}/*": 1, "*/*": 0}
    best = (-1, 0.0)
    for written in ranges.split(","):
        name, *parameters = (part.strip().lower() for part in written.split(";"))
        if name in fitting:
            weights = [p.removeprefix("q=") for p in parameters if p.startswith("q=")]
            best = max(best, (fitting[name], _number(weights[0]) if weights else 1.0))
    return best[1]


def _number(weight: str) -> float:
    try:
        return float(weight)
    except ValueError:
        return 1.0


def _require_readable(request: Request, form: bool) -> None:
    """Raises UnsupportedMediaType or, already by the announced length, PayloadTooLarge."""
    media_type = _media_type(request)
    if form and media_type not in _FORMS:
        raise UnsupportedMediaType(f"This route takes a form: {URLENCODED}.", supported=list(_FORMS))
    if not form and media_type != JSON and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise UnsupportedMediaType(f"This route takes {JSON}.", supported=[JSON])
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Bodies are taken as they are, not compressed.")
    length = request.headers.get("content-length", "0")
    limit: int = request.app.state.max_request_bytes
    if length.isdecimal() and len(length) < 20 and int(length) > limit:
        raise PayloadTooLarge(f"A request may have at most {limit:,} bytes.", limit=limit)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _produced(response_class: type[Response] | DefaultPlaceholder) -> str | None:
    kind: type[Response] = response_class.value if isinstance(response_class, DefaultPlaceholder) else response_class
    return kind.media_type


def _asks_for_viewer(dependant: Dependant) -> bool:
    return any(d.call is signed_in or _asks_for_viewer(d) for d in dependant.dependencies)
