"""The domain's tests run over real adapters: an SQLite file, argon2 with cheap parameters, limits and signals in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from db.engine import Database, open_engine
from db.tables import Row
from tests.domain.turn_desk import open_desk

__all__ = ["database", "open_desk"]

# A busy machine is slow, not wrong.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'desk.sqlite3'}"
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Row.metadata.create_all)
    await engine.dispose()
    database = Database(url)
    yield database
    await database.close()
