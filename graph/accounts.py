"""Accounts: registering, signing in and out, and who is asking."""

from contextlib import suppress
from datetime import datetime

import strawberry

from domain import accounts, model
from domain.errors import DeskError
from graph.context import Info
from graph.ids import USER, encode_id
from graph.nodes import Node


@strawberry.type(description="A registered person.")
class User(Node):
    username: str
    email: str
    created_at: datetime

    @classmethod
    def of(cls, user: model.User) -> "User":
        return cls(
            id=strawberry.ID(encode_id(USER, user.id)),
            username=user.username,
            email=user.email,
            created_at=user.created_at,
        )


@strawberry.type(description="What a login hands out. The access token goes into `Authorization: Bearer …`.")
class AuthPayload:
    access_token: str
    refresh_token: str = strawberry.field(description="Good for one `refreshToken`, which gives the next one.")
    token_type: str = strawberry.field(description="Always `bearer`.")
    expires_in: int = strawberry.field(description="Seconds until the access token expires.")
    user: User

    @classmethod
    def of(cls, grant: accounts.Grant) -> "AuthPayload":
        return cls(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            token_type="bearer",  # noqa: S106  RFC 6750's name for the kind of token
            expires_in=grant.expires_in,
            user=User.of(grant.user),
        )


@strawberry.input
class RegisterInput:
    username: str
    email: str
    password: str


@strawberry.input
class LoginInput:
    username: str
    password: str


@strawberry.type
class AccountQuery:
    @strawberry.field(description="Who is signed in; null without a token.")
    async def viewer(self, info: Info) -> User | None:
        if info.context.token is None:
            return None
        return User.of(await info.context.services.accounts.me(await info.context.viewer()))


@strawberry.type
class AccountMutation:
    @strawberry.mutation(description="Opens an account and signs in to it.")
    async def register(self, info: Info, input: RegisterInput) -> AuthPayload:
        context = info.context
        grant = await context.services.accounts.sign_up(
            input.username, input.email, input.password, address=context.address
        )
        return AuthPayload.of(grant)

    @strawberry.mutation(description="Signs in with a name and a password.")
    async def login(self, info: Info, input: LoginInput) -> AuthPayload:
        context = info.context
        grant = await context.services.accounts.login(input.username, input.password, address=context.address)
        return AuthPayload.of(grant)

    @strawberry.mutation(
        description="Spends a refresh token for new tokens of the same login. One that was spent before ends the login. "
        "On a WebSocket of the same user's, the socket and its streams go on under the new access token."
    )
    async def refresh_token(self, info: Info, refresh_token: str) -> AuthPayload:
        grant = await info.context.services.accounts.refresh(refresh_token)
        with suppress(DeskError):  # the tokens are good also where this socket does not go on with them
            await info.context.renew(grant.access_token)
        return AuthPayload.of(grant)

    @strawberry.mutation(
        description="Revokes the tokens of this login or, with `everywhere`, of all the viewer's logins. "
        "Streams that are open on them end within a second."
    )
    async def logout(self, info: Info, everywhere: bool = False) -> bool:
        await info.context.services.accounts.logout(await info.context.viewer(), everywhere=everywhere)
        return True
