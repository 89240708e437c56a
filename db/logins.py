"""Logins and their refresh tokens in SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, select, update

from db.engine import Database, WriteSession
from db.rows import to_user
from db.tables import LOGINS, LoginRow, RefreshTokenRow, UserRow
from db.transactions import one_transaction
from domain.ports import LoginStore
from domain.records import RefreshedLogin

_IDS = select(LOGINS.c.id).where(LOGINS.c.revoked_at.is_(None))
_ACTIVE = _IDS.where(LOGINS.c.id == bindparam("login"), LOGINS.c.user_id == bindparam("user"))
_ACTIVE_AMONG = _IDS.where(LOGINS.c.id.in_(bindparam("logins", expanding=True)))


class SqlLoginStore(LoginStore):
    """A login's row is locked while one of its tokens is spent. So of several that spend the same token at once
    exactly one wins, and each of the others finds it spent: a token that is used twice has leaked, however close
    together the uses are, and the whole family is revoked with the winner's new token (RFC 9700, section 4.14.2).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def begin_login(self, user_id: int, login_id: str, refresh_digest: str, expires_at: datetime) -> None:
        now = datetime.now(UTC)
        async with self._database.write() as session:
            session.add(LoginRow(id=login_id, user_id=user_id, created_at=now))
            await session.flush()
            session.add(
                RefreshTokenRow(digest=refresh_digest, login_id=login_id, created_at=now, expires_at=expires_at)
            )

    @one_transaction
    async def rotate_refresh(self, spent_digest: str, next_digest: str, expires_at: datetime) -> RefreshedLogin | None:
        now = datetime.now(UTC)
        async with self._database.write() as session:
            login = await _locked_login_of(session, spent_digest)
            if login is None or login.revoked_at is not None:
                return None
            token = await session.scalar(select(RefreshTokenRow).where(RefreshTokenRow.digest == spent_digest))
            if token is None or token.spent_at is not None:
                login.revoked_at = now
                return None
            if token.expires_at <= now:
                return None
            token.spent_at = now
            session.add(RefreshTokenRow(digest=next_digest, login_id=login.id, created_at=now, expires_at=expires_at))
            user = await session.scalar(select(UserRow).where(UserRow.id == login.user_id))
            return None if user is None else RefreshedLogin(to_user(user), login.id)

    async def is_active(self, user_id: int, login_id: str) -> bool:
        return bool(await self._database.glance(_ACTIVE, {"login": login_id, "user": user_id}))

    @one_transaction
    async def ended(self, login_ids: Sequence[str]) -> set[str]:
        rows = await self._database.look(_ACTIVE_AMONG, {"logins": list(login_ids)})
        return set(login_ids).difference(row.id for row in rows)

    @one_transaction
    async def revoke_login(self, user_id: int, login_id: str) -> None:
        async with self._database.write() as session:
            await session.execute(
                update(LoginRow)
                .where(LoginRow.id == login_id, LoginRow.user_id == user_id, LoginRow.revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )

    @one_transaction
    async def revoke_all(self, user_id: int) -> list[str]:
        active = select(LoginRow).where(LoginRow.user_id == user_id, LoginRow.revoked_at.is_(None))
        async with self._database.write() as session:
            logins = (await session.scalars(active.order_by(LoginRow.id).with_for_update())).all()
            for login in logins:
                login.revoked_at = datetime.now(UTC)
            return [login.id for login in logins]

    @one_transaction
    async def login_of(self, refresh_digest: str) -> str | None:
        async with self._database.read() as session:
            return await session.scalar(
                select(RefreshTokenRow.login_id).where(RefreshTokenRow.digest == refresh_digest)
            )


async def _locked_login_of(session: WriteSession, digest: str) -> LoginRow | None:
    login_id = await session.scalar(select(RefreshTokenRow.login_id).where(RefreshTokenRow.digest == digest))
    if login_id is None:
        return None
    return await session.scalar(select(LoginRow).where(LoginRow.id == login_id).with_for_update())
