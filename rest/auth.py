"""/auth: accounts and logins."""

from functools import partial
from typing import Annotated

from fastapi import FastAPI, Form
from starlette.responses import Response

from rest.bodies import PasswordGrant, RefreshGrant, Registration
from rest.requests import DeskRequest
from rest.shapes import GrantShape, Json, UserShape, grant_shape, user_shape
from rest.viewer import SignedIn

_NOT_KEPT = {"Cache-Control": "no-store"}
"""Tokens are in the answer (RFC 6749, section 5.1)."""


def add_auth(app: FastAPI) -> None:
    add = partial(app.add_api_route, tags=["auth"])
    add("/auth/register", register, methods=["POST"], status_code=201, response_model=UserShape)
    add("/auth/token", token, methods=["POST"], response_model=GrantShape)
    add("/auth/refresh", refresh, methods=["POST"], response_model=GrantShape)
    add("/auth/logout", logout, methods=["POST"], status_code=204, response_class=Response)
    add("/auth/me", me, methods=["GET"], response_model=UserShape)


async def register(request: DeskRequest, body: Registration) -> Response:
    """Makes an account."""
    user = await request.desk.accounts.register(body.username, body.email, body.password, address=request.address)
    return Json(user_shape(user), 201)


async def token(request: DeskRequest, form: Annotated[PasswordGrant, Form()]) -> Response:
    """Signs in. The access token goes into `Authorization: Bearer …`."""
    grant = await request.desk.accounts.login(form.username, form.password, address=request.address)
    return Json(grant_shape(grant), headers=_NOT_KEPT)


async def refresh(request: DeskRequest, body: RefreshGrant) -> Response:
    """Trades a refresh token for new tokens. It can be used once: a second use ends its login."""
    return Json(grant_shape(await request.desk.accounts.refresh(body.refresh_token)), headers=_NOT_KEPT)


async def logout(request: DeskRequest, viewer: SignedIn) -> Response:
    """Ends this login; streams that are open on it end within a second."""
    await request.desk.accounts.logout(viewer)
    return Response(status_code=204)


async def me(request: DeskRequest, viewer: SignedIn) -> Response:
    """The viewer."""
    return Json(user_shape(await request.desk.accounts.me(viewer)))
