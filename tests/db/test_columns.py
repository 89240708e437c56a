"""What goes into a column comes out of it, on every database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError

from db.tables import LoginRow
from tests.stores import Stores


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 15, 4, 5, 123456, tzinfo=UTC),
        datetime(2026, 11, 22, 15, 4, 5, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_a_time_is_kept_to_the_microsecond_in_utc(stores: Stores, moment: datetime) -> None:
    user = await stores.user("alice")
    async with stores.database.write() as session:
        session.add(LoginRow(id="login", user_id=user.id, created_at=moment))
    async with stores.database.read() as session:
        found = await session.scalar(select(LoginRow.created_at))
        assert found == moment
        assert found.tzinfo is UTC
        as_stored = await session.scalar(text("SELECT created_at FROM logins"))
    assert str(as_stored)[:19] == str(moment.astimezone(UTC))[:19]


async def test_a_time_without_a_zone_is_refused(stores: Stores) -> None:
    user = await stores.user("alice")
    with pytest.raises(StatementError, match="without a zone"):
        async with stores.database.write() as session:
            session.add(LoginRow(id="login", user_id=user.id, created_at=datetime(2026, 1, 1)))
