"""A request of the REST face, as its routes get it: with the services, who asks from where, and a body that is read
strictly."""

from collections.abc import AsyncGenerator
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.model import Viewer
from domain.services import Services

JSON, URLENCODED = "application/json", "application/x-www-form-urlencoded"
_MAX_FORM_FIELDS = 100


class DeskRequest(Request):
    """Bodies are read within the limit, and strictly: UTF-8, and JSON as RFC 8259 has it (no NaN, no lone surrogates)."""

    viewer: Viewer
    """Whom the route authenticated before it read anything else of the request, where it asks for one."""

    @cached_property
    def desk(self) -> Services:
        """They exist once the application has started."""
        services: Services = self.app.state.services()
        return services

    @property
    def address(self) -> str:
        """The client's, for rate limits. Behind a proxy it is the server's business to know it (uvicorn's proxy
        headers)."""
        return self.client.host if self.client else ""

    @property
    def media_type(self) -> str:
        """Of the body, without parameters; "" when none is said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def has_body(self) -> bool:
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers

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
        if self.media_type != URLENCODED:
            return await super().form(**limits)
        try:
            text = (await self.body()).decode()
            return FormData(
                dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS))
            )
        except ValueError as error:
            raise HTTPException(422, "The form cannot be read: it must be UTF-8, with few fields.") from error
