"""Requests to a model that are made like those before them: the SDK needs longer to make one than to send it.

    PreparedRequests.send ── no head yet ──────────────────────────────► the SDK makes and sends it; its head is noted
              │
              └─ the head of those before, a new body ── 200 ──────────► the answer
                                          └─ anything else ────────────► the SDK's first attempt, as if it had sent it

What becomes of an attempt stays the SDK's: it counts, waits, asks again and names the failure. A head is all of a request
but its body, its length and its cookies. It is used when the SDK made the same one twice in a row, so nothing is in it
that differs from request to request, and for as long as it shows the credential that is in hand.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

import httpx2
import orjson
from openai import AsyncOpenAI, DefaultAioHttpClient

Outcome = httpx2.Response | Exception
"""Of an attempt to send a request."""
Source = tuple[object, ...]
"""What a request's head comes from and may change: where it does, a head that was noted is another request's."""
Credential = Callable[[], Awaitable[str | None]]


class RememberingClient(DefaultAioHttpClient):
    """The SDK's http client, which knows whose first attempt a request is."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        attempt = _attempt.get()
        if attempt is not None and attempt.first:
            attempt.first = False
            outcome = attempt.take()
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                return outcome
            if options == {"stream": True}:  # with others the SDK means more than a head says
                attempt.requests.note(_Head.of(attempt.source, self, request))
        return await super().send(request, **options)


@dataclass(frozen=True, slots=True, repr=False)  # it holds a secret
class _Head:
    source: Source
    client: httpx2.AsyncClient
    method: str
    url: httpx2.URL
    headers: httpx2.Headers
    extensions: dict[str, Any]
    """Timeouts, and what Azure's client tells its own hook."""
    credentials: tuple[str, ...]

    @classmethod
    def of(cls, source: Source, client: httpx2.AsyncClient, request: httpx2.Request) -> Self:
        headers = httpx2.Headers(request.headers)
        for name in ("content-length", "cookie"):
            headers.pop(name, None)
        shown = tuple(headers[name] for name in ("authorization", "api-key") if name in headers)
        return cls(source, client, request.method, request.url, headers, dict(request.extensions), shown)

    def shows(self, credential: str | None) -> bool:
        return bool(credential) and (credential in self.credentials or f"Bearer {credential}" in self.credentials)

    async def send(self, body: bytes) -> httpx2.Response:
        headers = httpx2.Headers(self.headers)
        headers["Content-Length"] = str(len(body))
        request = httpx2.Request(
            self.method,
            self.url,
            headers=headers,
            cookies=self.client.cookies,
            stream=httpx2.ByteStream(body),  # as `content` it would have all headers looked through once more
            extensions=self.extensions,
        )
        request.read()
        return await self.client.send(request, stream=True)


class PreparedRequests:
    """Of one model."""

    def __init__(self) -> None:
        self._noted: _Head | None = None
        self._head: _Head | None = None

    def note(self, head: _Head) -> None:
        self._head = head if head == self._noted else None
        self._noted = head

    async def send(
        self,
        client: AsyncOpenAI,
        payload: dict[str, Any],
        credential: Credential,
        by_sdk: Callable[[], Awaitable[httpx2.Response]],
    ) -> httpx2.Response:
        """What begins to stream. `payload` is JSON; `credential` says which one `client` would show just now, or None;
        `by_sdk` has it send the payload. Raises what the SDK and `credential` do."""
        source = (client, client.base_url, client.timeout, payload.get("model"))
        attempt = _Attempt(self, source, await self._try(source, payload, credential))
        if isinstance(attempt.outcome, httpx2.Response) and attempt.outcome.status_code == 200:
            return attempt.outcome
        token = _attempt.set(attempt)
        try:
            return await by_sdk()
        finally:
            _attempt.reset(token)
            if isinstance(unused := attempt.take(), httpx2.Response):  # the SDK did not come as far as sending anything
                await unused.aclose()

    async def _try(self, source: Source, payload: dict[str, Any], credential: Credential) -> Outcome | None:
        """None where the request is the SDK's to make."""
        head = self._head
        if head is None or head.source != source or not head.shows(await credential()):
            return None
        try:
            body = orjson.dumps(payload)
        except orjson.JSONEncodeError:  # halves of surrogate pairs, integers beyond 64 bits
            return None
        try:
            return await head.send(body)
        except Exception as failure:
            return failure


@dataclass(slots=True, eq=False)
class _Attempt:
    """A request of the SDK's, and the outcome of its first attempt where there is one already."""

    requests: PreparedRequests
    source: Source
    outcome: Outcome | None
    first: bool = True

    def take(self) -> Outcome | None:
        outcome, self.outcome = self.outcome, None
        return outcome


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
