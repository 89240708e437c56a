"""What was said before a question: the newest versions of the messages before it. Every turn asks for them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from db.rows import to_message
from db.statements import built_once
from db.tables import MESSAGES
from domain.model import Message

_question = MESSAGES.alias("question")
_asked_in = select(_question.c.first_turn_id).where(_question.c.id == bindparam("before")).scalar_subquery()
RECENT = built_once(
    select(MESSAGES)
    .where(
        MESSAGES.c.chat_id == bindparam("chat"),
        MESSAGES.c.first_turn_id < _asked_in,
        MESSAGES.c.superseded.is_(False),
    )
    .order_by(MESSAGES.c.first_turn_id.desc(), MESSAGES.c.id.desc())
    .limit(bindparam("limit"))
)
"""The `limit` messages of `chat` before the question `before`, the last first."""


def in_order(rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Message]:
    """RECENT's rows as messages, the oldest first."""
    return [to_message(row) for row in reversed(rows)]


def messages_before(connection: Connection, question: Message, limit: int) -> list[Message]:
    """The last `limit` of them, the oldest first."""
    values = {"chat": question.chat_id, "before": question.id, "limit": limit}
    return in_order(connection.execute(RECENT, values).all())
