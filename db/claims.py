"""Who may be answered in a chat: the keys that clients claim turns by, the one running slot, the line before it.

Whoever is here holds the lock on the chat's row, which decides between all that arrives in one chat at once. What they
then look at is asked in statements of their own: those see what the lock's last holder has committed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, or_, select, update

from db.answers import stored_turn
from db.clock import clock_ahead_by, database_clock, microseconds
from db.rows import from_error
from db.statements import built_once
from db.tables import CHATS, TURNS
from domain.errors import ChatBusy, IdempotencyMismatch
from domain.model import SERVER_STOPPED, TurnStatus
from domain.records import StoredTurn, TurnRequest

MAX_QUEUED = 20
"""Turns that may wait in one chat. When so many do, it is busy for those that would wait, too."""

CHAT = built_once(select(CHATS.c.id, CHATS.c.user_id, CHATS.c.titled).with_for_update())
LEASE_RAN_OUT = TURNS.c.lease_until < database_clock()

_claimed = TURNS.c.client_message_id == bindparam("key")
_open = TURNS.c.open_chat_id == bindparam("chat")
_STANDING = built_once(
    select(TURNS.c.id, TURNS.c.status, LEASE_RAN_OUT.label("ran_out"), _open.label("open"), _claimed.label("claimed"))
    .where(or_(_open, and_(TURNS.c.chat_id == bindparam("chat"), _claimed)))
    .order_by(TURNS.c.id)
)
_CHANGE = built_once(update(TURNS).where(TURNS.c.id == bindparam("of_turn"), TURNS.c.status == bindparam("was")))
_INTERRUPT = _CHANGE.where(LEASE_RAN_OUT)
_PROMOTE = _CHANGE.values(lease_until=clock_ahead_by("lease"))


def locked_chat(connection: Connection, query: Select[*tuple[Any, ...]], values: Mapping[str, Any]) -> Row[Any] | None:
    """CHAT's row that `query` finds, which nobody else locks until this transaction ends."""
    return connection.execute(query, values).one_or_none()


def claim(
    connection: Connection,
    chat_id: int,
    request: TurnRequest,
    admit: Callable[[], None],
    is_same: Callable[[StoredTurn], bool],
) -> StoredTurn | TurnStatus:
    """The turn that the request's key began before, or the status that a new turn has to begin with. Raises
    IdempotencyMismatch for a turn that is not `is_same`, what `admit` raises, and ChatBusy."""
    line, claimed = _standing(connection, chat_id, request.client_message_id)
    before = None if claimed is None else stored_turn(connection, claimed)
    if before is not None and not is_same(before):
        raise IdempotencyMismatch
    if before is not None:
        return before
    admit()
    if not line:
        return TurnStatus.RUNNING
    if not request.enqueue or len(line) > MAX_QUEUED:
        raise ChatBusy(line[0])
    return TurnStatus.QUEUED


def line_of(connection: Connection, chat_id: int) -> list[int]:
    """The turns of a chat that have not ended: the running one, if there is one, then those that wait, in the order of
    their asking. A running turn whose lease ran out is INTERRUPTED here, and makes way."""
    return _standing(connection, chat_id, None)[0]


def _standing(connection: Connection, chat_id: int, key: str | None) -> tuple[list[int], int | None]:
    """The line, and the turn that the key claimed."""
    line: list[int] = []
    claimed_by = None
    for turn_id, status, ran_out, is_open, claimed in connection.execute(_STANDING, {"chat": chat_id, "key": key}):
        if claimed:
            claimed_by = turn_id
        if not is_open:
            continue
        if status is TurnStatus.QUEUED:
            line.append(turn_id)
        elif not (ran_out and interrupt(connection, turn_id)):
            line.insert(0, turn_id)
    return line, claimed_by


def interrupt(connection: Connection, turn_id: int) -> bool:
    """Ends a running turn whose lease ran out, keeping its text. False when it is not so any more."""
    values = ended(TurnStatus.INTERRUPTED, datetime.now(UTC)) | from_error(SERVER_STOPPED)
    return _changed(connection, _INTERRUPT, turn_id, TurnStatus.RUNNING, values)


def promote(connection: Connection, turn_id: int, chat_id: int, lease: timedelta) -> bool:
    """Gives the running slot to a turn that waits. False when it does not any more."""
    values = {"status": TurnStatus.RUNNING, "running_chat_id": chat_id, "lease": microseconds(lease)}
    return _changed(connection, _PROMOTE, turn_id, TurnStatus.QUEUED, values)


def change(connection: Connection, turn_id: int, was: TurnStatus, values: Mapping[str, Any]) -> bool:
    """False, and nothing changed, unless the turn has that status."""
    return _changed(connection, _CHANGE, turn_id, was, values)


def ended(status: TurnStatus, at: datetime) -> dict[str, Any]:
    return {"status": status, "ended_at": at, "running_chat_id": None, "open_chat_id": None, "lease_until": None}


def _changed(connection: Connection, statement: Any, turn_id: int, was: TurnStatus, values: Mapping[str, Any]) -> bool:
    return connection.execute(statement, {"of_turn": turn_id, "was": was, **values}).rowcount == 1
