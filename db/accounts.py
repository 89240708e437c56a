"""Users in SQL."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.rows import same_for_people, to_user
from db.tables import UserRow
from db.transactions import one_transaction
from domain.errors import EmailTaken, UsernameTaken
from domain.model import User
from domain.ports import AccountStore
from domain.records import Credentials


class SqlAccountStore(AccountStore):
    """Names and addresses are compared by db.rows.same_for_people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def create_user(self, username: str, email: str, password_hash: str) -> User:
        row = UserRow(
            username=username,
            username_key=same_for_people(username),
            email=email,
            email_key=same_for_people(email),
            password_hash=password_hash,
            created_at=datetime.now(UTC),
        )
        try:
            async with self._database.write() as session:
                session.add(row)
                await session.flush()
        except IntegrityError:
            await self._raise_taken(username, email)
            raise
        return to_user(row)

    @one_transaction
    async def find_credentials(self, username: str) -> Credentials | None:
        async with self._database.read() as session:
            row = await session.scalar(select(UserRow).where(UserRow.username_key == same_for_people(username)))
        return None if row is None else Credentials(to_user(row), row.password_hash)

    @one_transaction
    async def get_user(self, user_id: int) -> User | None:
        async with self._database.read() as session:
            row = await session.scalar(select(UserRow).where(UserRow.id == user_id))
        return None if row is None else to_user(row)

    @one_transaction
    async def replace_password_hash(self, user_id: int, password_hash: str) -> None:
        async with self._database.write() as session:
            await session.execute(update(UserRow).where(UserRow.id == user_id).values(password_hash=password_hash))

    async def _raise_taken(self, username: str, email: str) -> None:
        """Databases tell of one violated constraint, and each of another: so look which are taken."""
        async with self._database.read() as session:
            if await session.scalar(select(UserRow.id).where(UserRow.username_key == same_for_people(username))):
                raise UsernameTaken
            if await session.scalar(select(UserRow.id).where(UserRow.email_key == same_for_people(email))):
                raise EmailTaken
