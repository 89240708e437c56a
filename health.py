"""What the server says about itself: where things are, that it lives, and whether it is ready."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import DeskError


class Checked(Protocol):
    """A part that can say whether it is there; raises DeskError when it is not."""

    async def check(self) -> None: ...


class Health(Protocol):
    """What is asked about a running desk."""

    @property
    def choices(self) -> Mapping[str, str]:
        """Which adapters the settings chose, in words."""

    @property
    def draining(self) -> bool: ...

    @property
    def parts(self) -> Mapping[str, Checked]:
        """What a question cannot be answered without, but for the model, which is not called."""


def health_routes(health: Callable[[], Health]) -> list[Route]:
    """`health` is asked at each request, since it exists only while the server runs."""

    async def readyz(request: Request) -> Response:
        """200 when a question could be answered now; 503 names what is missing, or says that the server stops."""
        desk = health()
        failed: dict[str, str] = {}
        for name, part in desk.parts.items():
            try:
                await part.check()
            except DeskError as failure:
                failed[name] = failure.message
        status = "draining" if desk.draining else "unavailable" if failed else "ready"
        body: dict[str, Any] = {"status": status, **desk.choices}
        return JSONResponse({**body, "failed": failed} if failed else body, 200 if status == "ready" else 503)

    return [Route("/", _welcome), Route("/healthz", _healthz), Route("/readyz", readyz)]


async def _welcome(request: Request) -> Response:
    base = str(request.base_url).rstrip("/")
    return JSONResponse(
        {
            "name": "Answerdesk",
            "graphql": f"{base}/graphql",
            "rest": f"{base}/api/v1",
            "rest_docs": f"{base}/api/v1/docs",
            "ready": f"{base}/readyz",
        }
    )


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})
