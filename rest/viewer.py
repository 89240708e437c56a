"""What routes ask for by type: the signed-in viewer, the services, the client's address."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
from starlette.requests import Request

from domain.model import Viewer
from domain.services import Services

# The address is relative to the documentation page, wherever the face is mounted.
bearer = OAuth2PasswordBearer(tokenUrl="auth/token", scheme_name="login", auto_error=False)


async def services_of(request: Request) -> Services:
    """They exist once the application has started."""
    services: Services = request.app.state.services()
    return services


async def authenticate(request: Request) -> Viewer:
    """Who is asking, by the bearer token. Raises Unauthenticated."""
    return await (await services_of(request)).accounts.authenticate(await bearer(request))


async def signed_in(request: Request, _documented: Annotated[str | None, Depends(bearer)]) -> Viewer:
    """The viewer whom the route authenticated before it read anything else of the request."""
    viewer: Viewer = request.state.viewer
    return viewer


async def client_address(request: Request) -> str:
    """For rate limits. Behind a proxy it is the server's business to know the client's (uvicorn's proxy headers)."""
    return request.client.host if request.client else ""


SignedIn = Annotated[Viewer, Depends(signed_in)]
Desk = Annotated[Services, Depends(services_of)]
Address = Annotated[str, Depends(client_address)]
