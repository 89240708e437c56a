"""Registering, signing in and out, and knowing who asks, over real stores."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from db.accounts import SqlAccountStore
from db.engine import Database
from db.logins import SqlLoginStore
from domain.accounts import Accounts, Grant
from domain.errors import BadUserInput, EmailTaken, RateLimited, Unauthenticated, UsernameTaken
from domain.model import Viewer
from domain.ports import LoginsEnded, Signal
from domain.tokens import Tokens, TokenSecrets
from providers.memory_signals import MemorySignals
from providers.password_hashing import Argon2Hasher
from providers.rate_limits import WindowRateLimiter

NAME, EMAIL, PASSWORD = "testuser", "test@example.com", "a_strong_password"
HOME = "192.0.2.1"
SECRETS = TokenSecrets(b"the documented key has 36 characters", b"and this other one is not the same..")
GENEROUS = {"login": "1000/minute", "register": "1000/minute"}


class WatchedHasher(Argon2Hasher):
    """Remembers what it was asked to verify."""

    def __init__(self, passes: int = 1) -> None:
        super().__init__(threads=1, memory_kib=8, passes=passes)
        self.verified: list[tuple[str, bool]] = []

    async def verify(self, password: str, password_hash: str | None) -> bool:
        self.verified.append((password, password_hash is not None))
        return await super().verify(password, password_hash)


class WatchedSignals(MemorySignals):
    """Remembers which logins were said to have ended, and which of them had not yet."""

    def __init__(self, logins: SqlLoginStore) -> None:
        super().__init__()
        self._logins = logins
        self.ended: list[str] = []
        self.early: list[str] = []

    async def publish(self, signal: Signal) -> None:
        assert isinstance(signal, LoginsEnded)
        self.early += [login_id for login_id in signal.login_ids if await self._logins.is_active(1, login_id)]
        self.ended += signal.login_ids
        await super().publish(signal)


@dataclass
class Desk:
    """The service, and what it stands on."""

    database: Database
    hasher: WatchedHasher = field(default_factory=WatchedHasher)

    def __post_init__(self) -> None:
        self.store, self.logins = SqlAccountStore(self.database), SqlLoginStore(self.database)
        self.signals = WatchedSignals(self.logins)
        self.tokens = Tokens(SECRETS)
        self.accounts = self.with_()

    def with_(
        self,
        *,
        rules: dict[str, str] = GENEROUS,
        hasher: Argon2Hasher | None = None,
        tokens: Tokens | None = None,
        refresh_lifetime: timedelta = timedelta(days=30),
    ) -> Accounts:
        """Another service over the same stores."""
        limiter = WindowRateLimiter(rules)
        hasher, tokens = hasher or self.hasher, tokens or self.tokens
        return Accounts(self.store, self.logins, hasher, limiter, self.signals, tokens, refresh_lifetime)

    async def login(self) -> Grant:
        return await self.accounts.login(NAME, PASSWORD, address=HOME)


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    desk = Desk(database)
    yield desk
    desk.hasher.close()


@pytest.fixture
async def registered(desk: Desk) -> Desk:
    await desk.accounts.register(NAME, EMAIL, PASSWORD, address=HOME)
    return desk


async def refused(desk: Desk, access_token: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await desk.accounts.authenticate(access_token)
    assert caught.value.message == Unauthenticated.default_message


async def test_register_then_login_then_ask(desk: Desk) -> None:
    user = await desk.accounts.register(NAME, EMAIL, PASSWORD, address=HOME)
    assert (user.username, user.email) == (NAME, EMAIL)
    grant = await desk.accounts.login(NAME.upper(), PASSWORD, address=HOME)
    assert grant.user == user
    assert grant.expires_in == 3_600
    viewer = await desk.accounts.authenticate(grant.access_token)
    assert (viewer.user_id, viewer.username) == (user.id, NAME)
    assert timedelta(minutes=59) < viewer.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    assert await desk.accounts.me(viewer) == user


async def test_signing_up_is_registering_and_signing_in(desk: Desk) -> None:
    grant = await desk.with_(rules={"register": "1/hour", "login": "1/hour"}).sign_up(
        NAME, EMAIL, PASSWORD, address=HOME
    )
    assert (await desk.accounts.authenticate(grant.access_token)).user_id == grant.user.id
    assert (await desk.accounts.refresh(grant.refresh_token)).user == grant.user
    assert (await desk.login()).user == grant.user
    assert len(desk.hasher.verified) == 1, "signing up costs one hash, and checks none"


async def test_all_problems_are_named_at_once_and_nothing_is_counted(desk: Desk) -> None:
    accounts = desk.with_(rules={"register": "1/hour", "login": "1/hour"})
    for _ in range(3):
        with pytest.raises(BadUserInput) as caught:
            await accounts.register("two words", "nobody", "short", address=HOME)
        assert set(caught.value.details["fields"]) == {"username", "email", "password"}
    await accounts.register(NAME, EMAIL, PASSWORD, address=HOME)


async def test_names_and_addresses_are_taken_once(registered: Desk) -> None:
    with pytest.raises(UsernameTaken):
        await registered.accounts.register(NAME.upper(), EMAIL, PASSWORD, address=HOME)
    with pytest.raises(EmailTaken):
        await registered.accounts.sign_up("another", EMAIL.upper(), PASSWORD, address=HOME)


async def test_passwords_are_kept_as_hashes(registered: Desk) -> None:
    credentials = await registered.store.find_credentials(NAME)
    assert credentials is not None
    assert credentials.password_hash.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("username", "password", "verified"),
    [
        (NAME, "a_wrong_password", ("a_wrong_password", True)),
        (NAME, PASSWORD + " ", (PASSWORD + " ", True)),
        ("nobody", PASSWORD, (PASSWORD, False)),
        ("two words", PASSWORD, (PASSWORD, False)),
        ("nul \0", PASSWORD, (PASSWORD, False)),
        ("half \ud83e", PASSWORD, (PASSWORD, False)),
        ("u" * 100_000, PASSWORD, (PASSWORD, False)),
        ("", "", ("", False)),
        (NAME, "", ("", False)),
        (NAME, "p" * 1_000_000, ("", False)),
        (NAME, "half a fox \ud83e", ("", False)),
    ],
    ids=[str(number) for number in range(11)],
)
async def test_one_answer_for_one_hash(
    registered: Desk, username: str, password: str, verified: tuple[str, bool]
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await registered.accounts.login(username, password, address=HOME)
    assert caught.value.message == "Incorrect username or password."
    assert registered.hasher.verified == [verified]


async def test_an_outdated_hash_is_replaced_at_login(registered: Desk) -> None:
    stronger = WatchedHasher(passes=2)
    accounts = registered.with_(hasher=stronger)
    before = await registered.store.find_credentials(NAME)
    with pytest.raises(Unauthenticated):
        await accounts.login(NAME, "a_wrong_password", address=HOME)
    assert await registered.store.find_credentials(NAME) == before
    await accounts.login(NAME, PASSWORD, address=HOME)
    after = await registered.store.find_credentials(NAME)
    assert after is not None
    assert not stronger.is_outdated(after.password_hash)
    await accounts.login(NAME, PASSWORD, address=HOME)
    assert await registered.store.find_credentials(NAME) == after, "replaced once"
    stronger.close()


async def test_logins_are_limited_by_address(registered: Desk) -> None:
    accounts = registered.with_(rules={"login": "2/minute"})
    await accounts.login(NAME, PASSWORD, address=HOME)
    with pytest.raises(Unauthenticated):
        await accounts.login("nobody", PASSWORD, address=HOME)
    with pytest.raises(RateLimited):
        await accounts.login("somebody", PASSWORD, address=HOME)
    assert len(registered.hasher.verified) == 2, "a refused one costs no hash"
    await accounts.login(NAME, PASSWORD, address="192.0.2.2")


async def test_logins_are_limited_by_username_from_wherever_they_come(registered: Desk) -> None:
    accounts = registered.with_(rules={"login": "2/minute"})
    for number, name in enumerate(("TestUser", "TESTUSER")):
        with pytest.raises(Unauthenticated):
            await accounts.login(name, "a_wrong_password", address=f"192.0.2.{number}")
    with pytest.raises(RateLimited):
        await accounts.login(NAME, PASSWORD, address="192.0.2.9")


async def test_registering_is_limited_by_address(desk: Desk) -> None:
    accounts = desk.with_(rules={"register": "1/hour"})
    await accounts.register("one", "one@desk.test", PASSWORD, address=HOME)
    with pytest.raises(RateLimited):
        await accounts.sign_up("two", "two@desk.test", PASSWORD, address=HOME)
    await accounts.register("two", "two@desk.test", PASSWORD, address="192.0.2.2")


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("a proxy's name", "a proxy's name", True),
        ("", "unix:", False),
    ],
)
async def test_a_client_is_one_address_or_one_ipv6_network(desk: Desk, one: str, two: str, same: bool) -> None:
    accounts = desk.with_(rules={"register": "1/hour"})
    await accounts.register("one", "one@desk.test", PASSWORD, address=one)
    if same:
        with pytest.raises(RateLimited):
            await accounts.register("two", "two@desk.test", PASSWORD, address=two)
    else:
        await accounts.register("two", "two@desk.test", PASSWORD, address=two)


async def test_refreshing_goes_on_with_the_same_login(registered: Desk) -> None:
    first = await registered.login()
    second = await registered.accounts.refresh(first.refresh_token)
    third = await registered.accounts.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    viewers = [await registered.accounts.authenticate(grant.access_token) for grant in (first, second, third)]
    assert len({viewer.login_id for viewer in viewers}) == 1
    assert third.user == first.user
    assert registered.signals.ended == []


async def test_a_refresh_token_that_is_used_again_ends_its_login_and_no_other(registered: Desk) -> None:
    first, other = await registered.login(), await registered.login()
    second = await registered.accounts.refresh(first.refresh_token)
    viewer = await registered.accounts.authenticate(second.access_token)
    with pytest.raises(Unauthenticated):
        await registered.accounts.refresh(first.refresh_token)
    assert registered.signals.ended == [viewer.login_id]
    assert registered.signals.early == []
    await refused(registered, first.access_token)
    await refused(registered, second.access_token)
    with pytest.raises(Unauthenticated):
        await registered.accounts.refresh(second.refresh_token)
    await registered.accounts.authenticate(other.access_token)
    await registered.accounts.refresh(other.refresh_token)


async def test_of_two_that_spend_a_token_at_once_neither_keeps_the_login(registered: Desk) -> None:
    grant = await registered.login()
    outcomes = await asyncio.gather(
        *(registered.accounts.refresh(grant.refresh_token) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Grant", "Unauthenticated"]
    await refused(registered, grant.access_token)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43, "\ud83e" * 43, "\0", "A" * 1_000_000], ids=len)
async def test_a_refresh_token_that_never_was(registered: Desk, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await registered.accounts.refresh(token)
    assert caught.value.message == "The refresh token is not valid any more. Sign in again."
    assert registered.signals.ended == []


async def test_refresh_tokens_expire_and_each_use_begins_their_time_anew(registered: Desk) -> None:
    brief = registered.with_(refresh_lifetime=timedelta(seconds=-1))
    grant = await registered.accounts.refresh((await registered.login()).refresh_token)
    expired = await brief.refresh(grant.refresh_token)
    with pytest.raises(Unauthenticated):
        await registered.accounts.refresh(expired.refresh_token)


async def test_logging_out_ends_this_login(registered: Desk) -> None:
    here, there = await registered.login(), await registered.login()
    viewer = await registered.accounts.authenticate(here.access_token)
    await registered.accounts.logout(viewer)
    assert registered.signals.ended == [viewer.login_id]
    assert registered.signals.early == []
    await refused(registered, here.access_token)
    with pytest.raises(Unauthenticated):
        await registered.accounts.refresh(here.refresh_token)
    await registered.accounts.authenticate(there.access_token)
    await registered.accounts.refresh(there.refresh_token)


async def test_logging_out_everywhere_ends_all_of_the_viewers_logins(registered: Desk) -> None:
    grants = [await registered.login() for _ in range(3)]
    stranger = await registered.accounts.sign_up("stranger", "s@desk.test", PASSWORD, address=HOME)
    viewers = [await registered.accounts.authenticate(grant.access_token) for grant in grants]
    await registered.accounts.logout(viewers[0], everywhere=True)
    assert sorted(registered.signals.ended) == sorted(viewer.login_id for viewer in viewers)
    assert registered.signals.early == []
    for grant in grants:
        await refused(registered, grant.access_token)
        with pytest.raises(Unauthenticated):
            await registered.accounts.refresh(grant.refresh_token)
    await registered.accounts.authenticate(stranger.access_token)


@pytest.mark.parametrize("token", [None, "", "garbage", "....", "é", "A" * 9_000], ids=lambda token: f"{token}"[:8])
async def test_without_a_good_token(desk: Desk, token: str | None) -> None:
    await refused(desk, token)


async def test_an_expired_token(registered: Desk) -> None:
    late = registered.with_(tokens=Tokens(SECRETS, clock=lambda: datetime.now(UTC) - timedelta(hours=2)))
    await refused(registered, (await late.login(NAME, PASSWORD, address=HOME)).access_token)


async def test_a_token_holds_for_its_own_user_only(registered: Desk) -> None:
    viewer = await registered.accounts.authenticate((await registered.login()).access_token)
    user = await registered.accounts.me(viewer)
    await refused(registered, registered.tokens.issue(replace(user, id=user.id + 1), viewer.login_id))
    await refused(registered, registered.tokens.issue(user, "no such login"))


async def test_the_viewer_of_an_account_that_is_gone(desk: Desk) -> None:
    gone = Viewer(404, NAME, "login", datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(Unauthenticated):
        await desk.accounts.me(gone)
