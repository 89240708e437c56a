"""The store suites run on every database: each on a database of its own, which every test finds empty."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import delete

from db.engine import Database
from db.tables import UserRow
from domain.model import User
from tests.databases import BACKENDS, migrated_database
from tests.stores import Stores


@pytest.fixture(scope="session", params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with migrated_database(request.param, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url) as opened:
        async with opened.write() as session:
            await session.execute(delete(UserRow))  # and with them everything
        yield opened


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores.on(database)


@pytest.fixture
async def alice(stores: Stores) -> User:
    return await stores.user("alice")


@pytest.fixture
async def bob(stores: Stores) -> User:
    return await stores.user("bob")
