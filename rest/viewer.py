"""Who asks: the security scheme of the routes that want to know, and what gives them the viewer."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from domain.model import Viewer
from rest.requests import DeskRequest


class Login(OAuth2PasswordBearer):
    """A dependency like any other of FastAPI's, which the OpenAPI document shows; only that the route has authenticated
    by the time that it is solved."""

    async def __call__(self, request: DeskRequest) -> Viewer:  # type: ignore[override]
        return request.viewer

    async def authenticate(self, request: DeskRequest) -> Viewer:
        """By the bearer token. Raises Unauthenticated."""
        return await request.desk.accounts.authenticate(await super().__call__(request))


# The address is relative to the documentation page, wherever the face is mounted.
login = Login(tokenUrl="auth/token", scheme_name="login", auto_error=False)
SignedIn = Annotated[Viewer, Depends(login)]
