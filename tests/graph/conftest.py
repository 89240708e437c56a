"""One desk for each test, over its own SQLite file."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from settings import Settings
from tests.databases import migrated_database
from tests.graph.desk import Desk, open_desk


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An SQLite file with empty tables, to be copied."""
    with migrated_database("sqlite", tmp_path_factory.mktemp("migrated")) as url:
        yield Path(url.partition(":///")[2])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        max_request_bytes=65_536,
        sse_heartbeat_seconds=0.2,
        cors_origins=("https://app.example",),
    )


@pytest.fixture
async def desk(migrated: Path, tmp_path: Path, settings: Settings) -> AsyncIterator[Desk]:
    file = tmp_path / "desk.sqlite3"
    shutil.copy(migrated, file)
    async with open_desk(f"sqlite+aiosqlite:///{file}", settings) as desk:
        yield desk


@pytest.fixture
async def token(desk: Desk) -> str:
    return await desk.sign_up()


@pytest.fixture
async def chat(desk: Desk, token: str) -> str:
    """The global id of a chat of the token's user."""
    return await desk.new_chat(token)
