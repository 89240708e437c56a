"""Who may be answered in a chat: the keys that clients claim turns by, the one running slot, the line before it.

Whoever is here holds the lock on the chat's row, which decides between all that arrives in one chat at once.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import aliased

from db.answers import claimed_turn
from db.clock import database_clock
from db.engine import ReadSession, WriteSession
from db.rows import from_error
from db.tables import ChatRow, TurnRow
from domain.errors import ChatBusy, IdempotencyMismatch
from domain.model import SERVER_STOPPED, TurnStatus
from domain.ports import StoredTurn, TurnRequest

MAX_QUEUED = 20
"""Turns that may wait in one chat. When so many do, it is busy for those that would wait, too."""


async def claim(
    session: WriteSession, chat_id: int, request: TurnRequest, is_same: Callable[[StoredTurn], bool]
) -> StoredTurn | TurnStatus:
    """The turn that the request's key began before, or the status that a new turn has to begin with. Raises
    IdempotencyMismatch for a turn that is not `is_same`, what `admit` raises, and ChatBusy."""
    line = await line_of(session, chat_id)
    if request.client_message_id is not None:
        claimed = await claimed_turn(session, chat_id, request.client_message_id)
        if claimed is not None and not is_same(claimed):
            raise IdempotencyMismatch
        if claimed is not None:
            return claimed
    if request.admit is not None:
        await request.admit()
    if not line:
        return TurnStatus.RUNNING
    if not request.enqueue or len(line) > MAX_QUEUED:
        raise ChatBusy(line[0])
    return TurnStatus.QUEUED


async def line_of(session: WriteSession, chat_id: int) -> list[int]:
    """The turns of a chat that have not ended: the running one, if there is one, then those that wait, in the order of
    their asking. A running turn whose lease ran out is INTERRUPTED here, and makes way."""
    query = select(TurnRow.id, TurnRow.status, lease_ran_out()).where(TurnRow.open_chat_id == chat_id)
    line = []
    for turn_id, status, ran_out in await session.execute(query.order_by(TurnRow.id)):
        if status is TurnStatus.QUEUED:
            line.append(turn_id)
        elif not (ran_out and await interrupt(session, turn_id)):
            line.insert(0, turn_id)
    return line


async def interrupt(session: WriteSession, turn_id: int) -> bool:
    """Ends a running turn whose lease ran out, keeping its text. False when it is not so any more."""
    values = ended(TurnStatus.INTERRUPTED, datetime.now(UTC)) | from_error(SERVER_STOPPED)
    return await change(session, TurnStatus.RUNNING, (TurnRow.id == turn_id) & lease_ran_out(), values)


async def locked_chat(session: WriteSession, *where: ColumnElement[bool]) -> ChatRow | None:
    """The chat's row, which nobody else locks until this transaction ends."""
    return await session.scalar(select(ChatRow).where(*where).with_for_update())


async def promote(session: WriteSession, turn_id: int, chat_id: int, lease: timedelta) -> bool:
    """Gives the running slot to a turn that waits. False when it does not any more."""
    values = {"status": TurnStatus.RUNNING, "running_chat_id": chat_id, "lease_until": database_clock(lease)}
    return await change(session, TurnStatus.QUEUED, TurnRow.id == turn_id, values)


async def change(session: WriteSession, status: TurnStatus, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
    """False, and nothing changed, unless the turn has that status."""
    statement = update(TurnRow).where(where, TurnRow.status == status).values(values)
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1


def ended(status: TurnStatus, at: datetime) -> dict[str, Any]:
    return {"status": status, "ended_at": at, "running_chat_id": None, "open_chat_id": None, "lease_until": None}


def lease_ran_out() -> ColumnElement[bool]:
    return TurnRow.lease_until < database_clock()


async def forgotten(session: ReadSession) -> list[int]:
    """The first in line of each chat that nobody runs in, if its lease ran out."""
    other = aliased(TurnRow)
    ahead = select(other.id).where(other.open_chat_id == TurnRow.open_chat_id, other.id < TurnRow.id).exists()
    waits = TurnRow.status == TurnStatus.QUEUED
    return list(await session.scalars(select(TurnRow.id).where(waits, lease_ran_out(), ~ahead).order_by(TurnRow.id)))
