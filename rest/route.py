"""How a request is taken in, the same for every route: who asks, then what forms are understood, then the body.

FastAPI reads a body before it asks dependencies anything; here nothing of an unknown client's body is looked at.
"""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import NotAcceptable, PayloadTooLarge, UnsupportedMediaType
from rest.direct import direct_call
from rest.requests import JSON, URLENCODED, DeskRequest
from rest.viewer import login

EVENT_STREAM = "text/event-stream"
_FORMS = (URLENCODED, "multipart/form-data")


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


class DeskRoute(APIRoute):
    """A route whose checks come in the order 401, 406, 415, 413, 422."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        needs_viewer = any(dependency.call is login for dependency in self.dependant.dependencies)
        produced = _produced(self.response_class)
        body = self.body_field
        direct = direct_call(self)

        async def take_in(request: Request) -> Response:
            asked = DeskRequest(request.scope, request.receive)
            if needs_viewer:
                asked.viewer = await login.authenticate(asked)
            if produced is not None:
                require_acceptable(asked, produced)
            if body is not None and asked.has_body:
                _require_readable(asked, isinstance(body.field_info, params.Form))
            answer = await direct(asked) if direct is not None else None
            return await handle(asked) if answer is None else answer

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


def _require_readable(request: DeskRequest, form: bool) -> None:
    """Raises UnsupportedMediaType or, already by the announced length, PayloadTooLarge."""
    media_type = request.media_type
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


def _produced(response_class: type[Response] | DefaultPlaceholder) -> str | None:
    kind: type[Response] = response_class.value if isinstance(response_class, DefaultPlaceholder) else response_class
    return kind.media_type
