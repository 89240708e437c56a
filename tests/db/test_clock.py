"""Leases are told by the database's clock, in UTC whatever its own idea of the time zone is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import make_url, select, text

from db.clock import database_clock
from db.engine import Database
from tests.databases import empty_database
from tests.stores import Stores

A_LITTLE = timedelta(milliseconds=100)


async def check_clock(database: Database) -> None:
    ahead, behind = timedelta(days=2, microseconds=1_500_000), timedelta(seconds=-1.5)
    async with database.read() as session:
        row = await session.execute(select(database_clock(), database_clock(ahead), database_clock(behind)))
    now, later, earlier = row.one()
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=10)
    assert abs(later - now - ahead) < A_LITTLE
    assert abs(earlier - now - behind) < A_LITTLE


async def test_the_databases_clock(stores: Stores) -> None:
    await check_clock(stores.database)


async def test_postgresql_in_another_time_zone(tmp_path: Path) -> None:
    with empty_database("postgresql", tmp_path) as url:
        async with Database.open(url) as database, database.write() as session:
            name = make_url(url).database
            await session.execute(text(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'"))
        async with Database.open(url) as database:
            async with database.read() as session:
                assert await session.scalar(text("SHOW timezone")) == "Asia/Tokyo"
            await check_clock(database)
