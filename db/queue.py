"""Turns that wait in their chats, or whose worker died, in SQL."""

from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, bindparam, select

from db.answers import bare_turn
from db.claims import CHAT, LEASE_RAN_OUT, change, ended, interrupt, line_of, locked_chat, promote
from db.engine import Database
from db.tables import CHATS, TURNS, USERS
from db.transactions import one_transaction
from domain.model import TurnStatus
from domain.ports import QueueStore
from domain.records import BegunTurn, PromotedTurn

_asked_in = select(TURNS.c.open_chat_id).where(TURNS.c.id == bindparam("turn")).scalar_subquery()
_CHAT_OF_TURN = CHAT.where(CHATS.c.id == _asked_in)
_USERNAME = select(USERS.c.username).where(USERS.c.id == bindparam("user"))
_EXPIRED = select(TURNS.c.id).where(TURNS.c.status == TurnStatus.RUNNING, LEASE_RAN_OUT).order_by(TURNS.c.id)
_other = TURNS.alias()
_ahead = select(_other.c.id).where(_other.c.open_chat_id == TURNS.c.open_chat_id, _other.c.id < TURNS.c.id).exists()
_FORGOTTEN = select(TURNS.c.id).where(TURNS.c.status == TurnStatus.QUEUED, LEASE_RAN_OUT, ~_ahead).order_by(TURNS.c.id)


class SqlQueueStore(QueueStore):
    """Leases are told by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def start_queued(self, turn_id: int, lease: timedelta) -> PromotedTurn | int | None:
        return await self._database.write_at_once(partial(_start, turn_id=turn_id, lease=lease))

    @one_transaction
    async def cancel_queued(self, turn_id: int) -> bool:
        values = ended(TurnStatus.STOPPED, datetime.now(UTC))
        return await self._database.write_at_once(lambda it: change(it, turn_id, TurnStatus.QUEUED, values))

    @one_transaction
    async def forgotten_turns(self) -> list[int]:
        """The first in line of each chat that nobody runs in, if its lease ran out."""
        return [row.id for row in await self._database.look(_FORGOTTEN)]

    @one_transaction
    async def interrupt_expired(self) -> list[int]:
        expired = [row.id for row in await self._database.look(_EXPIRED)]
        if not expired:  # as nearly always: nobody's write has to wait for this look
            return []
        return await self._database.write_at_once(lambda it: [turn_id for turn_id in expired if interrupt(it, turn_id)])


def _start(connection: Connection, turn_id: int, lease: timedelta) -> PromotedTurn | int | None:
    chat = locked_chat(connection, _CHAT_OF_TURN, {"turn": turn_id})
    line = [] if chat is None else line_of(connection, chat.id)
    if chat is None or turn_id not in line:
        return None
    if line[0] != turn_id:
        return line[0]
    if not promote(connection, turn_id, chat.id, lease):
        return None
    stored = bare_turn(connection, turn_id)
    username = connection.scalar(_USERNAME, {"user": chat.user_id})
    if stored is None or username is None:
        return None
    return PromotedTurn(BegunTurn(stored.turn, stored.user_message, stored.answer, created=True), username)
