"""The suite of the AccountStore port."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import EmailTaken, UsernameTaken
from domain.model import User
from tests.stores import NOBODYS_IDS, Stores


async def test_a_user_is_found_by_id_and_by_name(stores: Stores) -> None:
    before = datetime.now(UTC)
    user = await stores.accounts.create_user("Zoë.Ångström", "zoe@example.test", "$argon2id$hash")
    assert before <= user.created_at <= before + timedelta(seconds=10)
    assert (user.username, user.email) == ("Zoë.Ångström", "zoe@example.test")
    assert await stores.accounts.get_user(user.id) == user
    found = await stores.accounts.find_credentials("Zoë.Ångström")
    assert found is not None
    assert (found.user, found.password_hash) == (user, "$argon2id$hash")


@pytest.mark.parametrize(
    ("taken", "asked"),
    [("Alice", "aLICE"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Zoë", "ZOE\u0308"), ("Ǆoni", "ǆONI")],
)
async def test_names_and_addresses_are_one_regardless_of_case(stores: Stores, taken: str, asked: str) -> None:
    user = await stores.accounts.create_user(taken, f"{taken}@example.test", "hash")
    found = await stores.accounts.find_credentials(asked)
    assert found is not None
    assert found.user == user
    with pytest.raises(UsernameTaken):
        await stores.accounts.create_user(asked, "other@example.test", "hash")
    with pytest.raises(EmailTaken):
        await stores.accounts.create_user("other", f"{asked}@example.test", "hash")


async def test_the_username_is_reported_first_when_both_are_taken(stores: Stores) -> None:
    await stores.accounts.create_user("first", "first@example.test", "hash")
    await stores.accounts.create_user("second", "second@example.test", "hash")
    with pytest.raises(UsernameTaken):
        await stores.accounts.create_user("first", "second@example.test", "hash")


async def test_letters_that_only_look_alike_are_different(stores: Stores) -> None:
    names = ("jose", "josé", "ıo", "io", "jose.", "jose_")
    created = [await stores.accounts.create_user(name, f"{n}@example.test", "hash") for n, name in enumerate(names)]
    found = [await stores.accounts.find_credentials(name) for name in names]
    assert [credentials.user for credentials in found if credentials] == created


async def test_a_user_who_is_not_there(stores: Stores, alice: User) -> None:
    assert await stores.accounts.find_credentials("nobody") is None
    assert await stores.accounts.find_credentials("") is None
    assert await stores.accounts.find_credentials("alice ") is None
    assert [await stores.accounts.get_user(user_id) for user_id in NOBODYS_IDS] == [None] * len(NOBODYS_IDS)


async def test_a_password_hash_is_replaced_for_one_user(stores: Stores, alice: User, bob: User) -> None:
    await stores.accounts.replace_password_hash(alice.id, "newer")
    hashes = [await stores.accounts.find_credentials(name) for name in ("alice", "bob")]
    assert [credentials.password_hash for credentials in hashes if credentials] == ["newer", "hash"]


async def test_of_many_who_register_one_name_at_once_one_gets_it(stores: Stores) -> None:
    tries = [stores.accounts.create_user("Popular", f"{n}@example.test", "hash") for n in range(10)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, UsernameTaken) for result in results) == 9


async def test_of_many_who_register_one_address_at_once_one_gets_it(stores: Stores) -> None:
    tries = [stores.accounts.create_user(f"user{n}", "Popular@example.test", "hash") for n in range(10)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, EmailTaken) for result in results) == 9
