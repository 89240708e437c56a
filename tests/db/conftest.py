"""What the tests of db/ itself share: every database in turn, migrated, and empty ones."""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import delete

from db.engine import Database
from db.tables import UserRow
from tests.databases import BACKENDS, empty_database, migrated_database
from tests.stores import Stores


@pytest.fixture(scope="session", params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with migrated_database(request.param, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[Stores]:
    async with Database.open(database_url) as database:
        async with database.write() as session:
            await session.execute(delete(UserRow))  # and with them everything
        yield Stores.on(database)


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request.param, tmp_path_factory.mktemp("database")) as url:
        yield url
