"""/auth: accounts and logins."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from rest.bodies import PasswordGrant, RefreshGrant, Registration
from rest.route import DeskRoute
from rest.shapes import GrantShape, Json, UserShape, grant_shape, user_shape
from rest.viewer import Address, Desk, SignedIn

_NOT_KEPT = {"Cache-Control": "no-store"}
"""Tokens are in the answer (RFC 6749, section 5.1)."""


def auth_router() -> APIRouter:
    router = APIRouter(prefix="/auth", tags=["auth"], route_class=DeskRoute)
    add = router.add_api_route
    add("/register", register, methods=["POST"], status_code=201, response_model=UserShape)
    add("/token", token, methods=["POST"], response_model=GrantShape)
    add("/refresh", refresh, methods=["POST"], response_model=GrantShape)
    add("/logout", logout, methods=["POST"], status_code=204, response_class=Response)
    add("/me", me, methods=["GET"], response_model=UserShape)
    return router


async def register(desk: Desk, address: Address, body: Registration) -> Response:
    """Makes an account."""
    user = await desk.accounts.register(body.username, body.email, body.password, address=address)
    return Json(user_shape(user), 201)


async def token(desk: Desk, address: Address, form: Annotated[PasswordGrant, Form()]) -> Response:
    """Signs in. The access token goes into `Authorization: Bearer …`."""
    grant = await desk.accounts.login(form.username, form.password, address=address)
    return Json(grant_shape(grant), headers=_NOT_KEPT)


async def refresh(desk: Desk, body: RefreshGrant) -> Response:
    """Trades a refresh token for new tokens. It can be used once: a second use ends its login."""
    return Json(grant_shape(await desk.accounts.refresh(body.refresh_token)), headers=_NOT_KEPT)


async def logout(desk: Desk, viewer: SignedIn) -> Response:
    """Ends this login; streams that are open on it end within a second."""
    await desk.accounts.logout(viewer)
    return Response(status_code=204)


async def me(desk: Desk, viewer: SignedIn) -> Response:
    """The viewer."""
    return Json(user_shape(await desk.accounts.me(viewer)))
