"""Accounts: registering, signing in and out, and knowing who asks."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.addresses import address_key
from domain.errors import Unauthenticated
from domain.inputs import Inputs, is_password, is_username
from domain.model import User, Viewer
from domain.ports import AccountStore, LoginsEnded, LoginStore, PasswordHasher, RateLimiter, Signals
from domain.tokens import Tokens, new_login_id, new_refresh_token, refresh_digest

WRONG_LOGIN = "Incorrect username or password."
SPENT_REFRESH = "The refresh token is not valid any more. Sign in again."


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login hands out. `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User


class Accounts:
    """`refresh_lifetime` is how long a refresh token can be used; each use begins it anew with the next one."""

    def __init__(
        self,
        accounts: AccountStore,
        logins: LoginStore,
        hasher: PasswordHasher,
        limiter: RateLimiter,
        signals: Signals,
        tokens: Tokens,
        refresh_lifetime: timedelta = timedelta(days=30),
    ) -> None:
        self._accounts = accounts
        self._logins = logins
        self._hasher = hasher
        self._limiter = limiter
        self._signals = signals
        self._tokens = tokens
        self._refresh_lifetime = refresh_lifetime

    async def register(self, username: str, email: str, password: str, *, address: str) -> User:
        """Raises BadUserInput, RateLimited, UsernameTaken or EmailTaken. `address` is the client's, for the limit."""
        inputs = Inputs()
        username = inputs.username("username", username)
        email = inputs.email("email", email)
        password = inputs.password("password", password)
        inputs.check()
        await self._limiter.hit("register", address_key(address))
        return await self._accounts.create_user(username, email, await self._hasher.hash(password))

    async def sign_up(self, username: str, email: str, password: str, *, address: str) -> Grant:
        """Registers, and begins the first login. Raises what `register` does."""
        return await self._begin(await self.register(username, email, password, address=address))

    async def login(self, username: str, password: str, *, address: str) -> Grant:
        """Raises RateLimited, or Unauthenticated: one answer, in the same time, for an unknown name and a wrong password."""
        await self._limiter.hit("login", address_key(address))
        known = is_username(username)
        if known:
            await self._limiter.hit("login", f"username {username.casefold()}")
        credentials = await self._accounts.find_credentials(username) if known else None
        # What no account can have for a password is not worth the hash of 1 MB, but still the time of one.
        fits = is_password(password)
        stored = credentials.password_hash if credentials and fits else None
        right = await self._hasher.verify(password if fits else "", stored)
        if credentials is None or not right:
            raise Unauthenticated(WRONG_LOGIN)
        if self._hasher.is_outdated(credentials.password_hash):
            await self._accounts.replace_password_hash(credentials.user.id, await self._hasher.hash(password))
        return await self._begin(credentials.user)

    async def refresh(self, refresh_token: str) -> Grant:
        """Spends a refresh token for new tokens of the same login. Raises Unauthenticated; a token that was spent
        before has leaked, so it ends its login."""
        digest = refresh_digest(refresh_token)
        successor = new_refresh_token()
        login = await self._logins.rotate_refresh(digest, refresh_digest(successor), self._refresh_until())
        if login is None:
            # The store has revoked the login if it had to. Streams that end without need are only opened again.
            login_id = await self._logins.login_of(digest)
            if login_id is not None:
                await self._signals.publish(LoginsEnded((login_id,)))
            raise Unauthenticated(SPENT_REFRESH)
        return self._grant(login.user, login.login_id, successor)

    async def logout(self, viewer: Viewer, *, everywhere: bool = False) -> None:
        """Revokes this login, or all of the viewer's, then ends the streams that are open on them."""
        ended = [viewer.login_id]
        if everywhere:
            ended += [login_id for login_id in await self._logins.revoke_all(viewer.user_id) if login_id not in ended]
        else:
            await self._logins.revoke_login(viewer.user_id, viewer.login_id)
        await self._signals.publish(LoginsEnded(tuple(ended)))

    async def authenticate(self, access_token: str | None) -> Viewer:
        """Who is asking. Raises Unauthenticated: one answer for no token, a bad one, and one whose login has ended."""
        if not access_token:
            raise Unauthenticated
        claims = self._tokens.verify(access_token)
        if not await self._logins.is_active(claims.user_id, claims.login_id):
            raise Unauthenticated
        return Viewer(claims.user_id, claims.username, claims.login_id, claims.expires_at)

    async def me(self, viewer: Viewer) -> User:
        """Raises Unauthenticated when the account is gone."""
        user = await self._accounts.get_user(viewer.user_id)
        if user is None:
            raise Unauthenticated
        return user

    async def _begin(self, user: User) -> Grant:
        login_id, refresh_token = new_login_id(), new_refresh_token()
        await self._logins.begin_login(user.id, login_id, refresh_digest(refresh_token), self._refresh_until())
        return self._grant(user, login_id, refresh_token)

    def _grant(self, user: User, login_id: str, refresh_token: str) -> Grant:
        access_token = self._tokens.issue(user, login_id)
        return Grant(access_token, refresh_token, int(self._tokens.lifetime.total_seconds()), user)

    def _refresh_until(self) -> datetime:
        return datetime.now(UTC) + self._refresh_lifetime
