"""Summaries of chats in SQL. Whoever writes holds the lock on the chat's row, as all that write in a chat do."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, update

from db.engine import Database
from db.rows import to_message
from db.tables import CHATS, MESSAGES, SUMMARIES, TURNS
from db.transactions import one_transaction
from domain.model import Message
from domain.ports import SummaryStore
from domain.records import StoredSummary

_SUMMARY = select(SUMMARIES).where(SUMMARIES.c.chat_id == bindparam("chat"))
_LOCK_CHAT = select(CHATS.c.id).where(CHATS.c.id == bindparam("chat")).with_for_update()
_SUPERSEDED = select(func.count()).where(
    MESSAGES.c.id.in_(bindparam("covered", expanding=True)), MESSAGES.c.superseded.is_(True)
)
_INSERT = insert(SUMMARIES)
_REPLACE = update(SUMMARIES).where(SUMMARIES.c.chat_id == bindparam("of_chat"))

_reached, _asked = MESSAGES.alias("reached"), MESSAGES.alias("asked")
_after = select(_reached.c.first_turn_id).where(_reached.c.id == bindparam("after")).scalar_subquery()
_before = select(_asked.c.first_turn_id).where(_asked.c.id == bindparam("before")).scalar_subquery()
_BETWEEN = (
    select(MESSAGES, TURNS.c.open_chat_id.is_not(None).label("open"))
    .join(TURNS, TURNS.c.id == MESSAGES.c.turn_id)
    .where(
        MESSAGES.c.chat_id == bindparam("chat"),
        MESSAGES.c.first_turn_id > func.coalesce(_after, 0),
        MESSAGES.c.first_turn_id < _before,
        MESSAGES.c.superseded.is_(False),
    )
    .order_by(MESSAGES.c.first_turn_id, MESSAGES.c.id)
    .limit(bindparam("limit"))
)

_covering = exists().where(
    MESSAGES.c.id == SUMMARIES.c.up_to_message_id, MESSAGES.c.first_turn_id >= bindparam("place")
)
_FORGET = delete(SUMMARIES).where(SUMMARIES.c.chat_id == bindparam("chat"), _covering)


class SqlSummaryStore(SummaryStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def get_summary(self, chat_id: int) -> StoredSummary | None:
        rows = await self._database.look(_SUMMARY, {"chat": chat_id})
        return StoredSummary(rows[0].up_to_message_id, rows[0].version, rows[0].notes) if rows else None

    @one_transaction
    async def messages_between(self, chat_id: int, after_id: int | None, before_id: int, limit: int) -> list[Message]:
        values = {"chat": chat_id, "after": after_id, "before": before_id, "limit": limit + 1}
        rows = list(await self._database.look(_BETWEEN, values))
        cut = next((row.first_turn_id for row in rows if row.open), None)
        if cut is None and len(rows) > limit:
            cut = rows[-1].first_turn_id
        return [to_message(row) for row in rows if cut is None or row.first_turn_id < cut]

    @one_transaction
    async def save_summary(
        self, chat_id: int, summary: StoredSummary, before: StoredSummary | None, covered: Sequence[int]
    ) -> bool:
        save = partial(_save, chat_id=chat_id, summary=summary, before=before, covered=covered)
        return await self._database.write_at_once(save)


def forget_what_covers(connection: Connection, chat_id: int, place: int) -> None:
    """Removes a chat's summary if it covers the messages of that place (`first_turn_id`), which are about to change."""
    connection.execute(_FORGET, {"chat": chat_id, "place": place})


def _save(
    connection: Connection,
    chat_id: int,
    summary: StoredSummary,
    before: StoredSummary | None,
    covered: Sequence[int],
) -> bool:
    if connection.execute(_LOCK_CHAT, {"chat": chat_id}).first() is None:
        return False
    if connection.execute(_SUPERSEDED, {"covered": list(covered)}).scalar_one():
        return False
    stored = connection.execute(_SUMMARY, {"chat": chat_id}).one_or_none()
    if not _is_as_before(stored, summary.version, before):
        return False
    values = {"version": summary.version, "up_to_message_id": summary.up_to_message_id, "notes": summary.notes}
    values["updated_at"] = datetime.now(UTC)
    if stored is None:
        connection.execute(_INSERT, {"chat_id": chat_id, **values})
    else:
        connection.execute(_REPLACE, {"of_chat": chat_id, **values})
    return True


def _is_as_before(stored: Row[Any] | None, version: int, before: StoredSummary | None) -> bool:
    """Nobody else was here. What another release wrote is as good as nothing."""
    if stored is None or stored.version != version:
        return before is None
    return before is not None and before.up_to_message_id == stored.up_to_message_id
