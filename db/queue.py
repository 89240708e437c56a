"""Turns that wait in their chats, or whose worker died, in SQL."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from db.answers import stored_turn
from db.claims import change, ended, forgotten, interrupt, lease_ran_out, line_of, locked_chat, promote
from db.engine import Database
from db.tables import ChatRow, TurnRow, UserRow
from db.transactions import one_transaction
from domain.model import TurnStatus
from domain.ports import BegunTurn, PromotedTurn, QueueStore


class SqlQueueStore(QueueStore):
    """Leases are told by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def start_queued(self, turn_id: int, lease: timedelta) -> PromotedTurn | int | None:
        async with self._database.write() as session:
            asked_in = select(TurnRow.open_chat_id).where(TurnRow.id == turn_id).scalar_subquery()
            chat = await locked_chat(session, ChatRow.id == asked_in)
            line = [] if chat is None else await line_of(session, chat.id)
            if chat is None or turn_id not in line:
                return None
            if line[0] != turn_id:
                return line[0]
            if not await promote(session, turn_id, chat.id, lease):
                return None
            stored = await stored_turn(session, turn_id)
            username = await session.scalar(select(UserRow.username).where(UserRow.id == chat.user_id))
            if stored is None or username is None:
                return None
            return PromotedTurn(BegunTurn(stored.turn, stored.user_message, stored.answer, created=True), username)

    @one_transaction
    async def cancel_queued(self, turn_id: int) -> bool:
        values = ended(TurnStatus.STOPPED, datetime.now(UTC))
        async with self._database.write() as session:
            return await change(session, TurnStatus.QUEUED, TurnRow.id == turn_id, values)

    @one_transaction
    async def forgotten_turns(self) -> list[int]:
        async with self._database.read() as session:
            return await forgotten(session)

    @one_transaction
    async def interrupt_expired(self) -> list[int]:
        async with self._database.read() as reading:
            running = (TurnRow.status == TurnStatus.RUNNING) & lease_ran_out()
            expired = (await reading.scalars(select(TurnRow.id).where(running).order_by(TurnRow.id))).all()
        if not expired:  # as nearly always: nobody's write has to wait for this look
            return []
        async with self._database.write() as session:
            return [turn_id for turn_id in expired if await interrupt(session, turn_id)]
