"""The suite of the LoginStore port."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from domain.model import User
from domain.records import RefreshedLogin
from tests.stores import NOBODYS_IDS, Stores


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


async def begin(stores: Stores, user: User, login_id: str = "login", first: str = "first") -> None:
    await stores.logins.begin_login(user.id, login_id, digest(first), soon())


async def rotate(stores: Stores, spent: str, following: str) -> RefreshedLogin | None:
    return await stores.logins.rotate_refresh(digest(spent), digest(following), soon())


async def test_a_login_is_active_for_its_user_alone(stores: Stores, alice: User, bob: User) -> None:
    await begin(stores, alice)
    assert await stores.logins.is_active(alice.id, "login")
    assert not await stores.logins.is_active(bob.id, "login")
    assert not await stores.logins.is_active(alice.id, "another")
    assert not any([await stores.logins.is_active(user_id, "login") for user_id in NOBODYS_IDS])


async def test_refresh_tokens_follow_one_another(stores: Stores, alice: User) -> None:
    await begin(stores, alice)
    assert await rotate(stores, "first", "second") == RefreshedLogin(alice, "login")
    assert await rotate(stores, "second", "third") == RefreshedLogin(alice, "login")
    assert await stores.logins.is_active(alice.id, "login")


async def test_an_unknown_refresh_token_changes_nothing(stores: Stores, alice: User) -> None:
    await begin(stores, alice)
    assert await rotate(stores, "invented", "second") is None
    assert await stores.logins.login_of(digest("second")) is None
    assert await rotate(stores, "first", "second") is not None


async def test_an_expired_refresh_token_is_of_no_use_but_ends_nothing(stores: Stores, alice: User) -> None:
    await stores.logins.begin_login(alice.id, "login", digest("first"), datetime.now(UTC) - timedelta(seconds=1))
    assert await rotate(stores, "first", "second") is None
    assert await stores.logins.is_active(alice.id, "login")
    assert await stores.logins.login_of(digest("second")) is None


async def test_a_refresh_token_that_is_used_again_revokes_its_login(stores: Stores, alice: User) -> None:
    await begin(stores, alice)
    await begin(stores, alice, "elsewhere", "other")
    assert await rotate(stores, "first", "second") is not None
    assert await rotate(stores, "first", "stolen") is None
    assert not await stores.logins.is_active(alice.id, "login")
    assert await rotate(stores, "second", "third") is None
    assert await stores.logins.is_active(alice.id, "elsewhere")
    assert await rotate(stores, "other", "another") is not None


async def test_of_many_that_spend_one_token_at_once_one_wins_and_the_login_ends(stores: Stores, alice: User) -> None:
    await begin(stores, alice)
    results = await asyncio.gather(*(rotate(stores, "first", f"next{n}") for n in range(10)))
    assert [result for result in results if result] == [RefreshedLogin(alice, "login")]
    assert not await stores.logins.is_active(alice.id, "login")
    assert [await rotate(stores, f"next{n}", f"last{n}") for n in range(10)] == [None] * 10


async def test_logins_refresh_beside_one_another(stores: Stores, alice: User) -> None:
    names = [f"login{n}" for n in range(10)]
    await asyncio.gather(*(begin(stores, alice, name, f"first of {name}") for name in names))
    results = await asyncio.gather(*(rotate(stores, f"first of {name}", f"second of {name}") for name in names))
    assert [result.login_id for result in results if result] == names


async def test_a_revoked_login_is_over(stores: Stores, alice: User, bob: User) -> None:
    await begin(stores, alice)
    await stores.logins.revoke_login(bob.id, "login")
    assert await stores.logins.is_active(alice.id, "login")
    await stores.logins.revoke_login(alice.id, "login")
    assert not await stores.logins.is_active(alice.id, "login")
    assert await rotate(stores, "first", "second") is None
    await stores.logins.revoke_login(alice.id, "login")


async def test_revoking_all_names_those_that_were_active(stores: Stores, alice: User, bob: User) -> None:
    for name in ("a", "b", "c"):
        await begin(stores, alice, name, name)
    await begin(stores, bob, "bob's", "bob's")
    await stores.logins.revoke_login(alice.id, "b")
    assert sorted(await stores.logins.revoke_all(alice.id)) == ["a", "c"]
    assert await stores.logins.revoke_all(alice.id) == []
    assert await stores.logins.is_active(bob.id, "bob's")


async def test_the_login_of_a_refresh_token(stores: Stores, alice: User) -> None:
    await begin(stores, alice)
    await rotate(stores, "first", "second")
    assert await stores.logins.login_of(digest("first")) == "login"
    assert await stores.logins.login_of(digest("second")) == "login"
    assert await stores.logins.login_of(digest("third")) is None


async def test_which_of_many_logins_ended(stores: Stores, alice: User, bob: User) -> None:
    for name in ("a", "b", "c"):
        await begin(stores, alice, name, name)
    await begin(stores, bob, "bob's", "bob's")
    assert await stores.logins.ended(["a", "b", "c", "bob's"]) == set()
    await stores.logins.revoke_login(alice.id, "b")
    assert await stores.logins.ended(["a", "b", "bob's"]) == {"b"}
    await rotate(stores, "c", "next")
    await rotate(stores, "c", "stolen")
    assert await stores.logins.ended(["c", "never was", "a"]) == {"c", "never was"}
    assert await stores.logins.ended(["bob's"]) == await stores.logins.ended([]) == set()
    many = [f"login{n}" for n in range(2_000)]
    assert await stores.logins.ended([*many, "a"]) == set(many)
