"""The rows of a new turn: its own, that of its question when that is new, and that of its empty answer."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, Insert, Row, bindparam, insert, select, update

from db.clock import clock_ahead_by, microseconds
from db.rows import same_for_people, to_message
from db.statements import built_once
from db.summaries import forget_what_covers
from db.tables import CHATS, MESSAGES, TURNS
from domain.model import Message, Rating, Role, Turn, TurnStatus
from domain.records import BegunTurn, TurnRequest
from domain.replay import STARTED

_INSERT_TURN = built_once(insert(TURNS).values(lease_until=clock_ahead_by("lease")))
_MOVE_CHAT = built_once(update(CHATS).where(CHATS.c.id == bindparam("of_chat")))
_last = (  # a table of its own, since MySQL would not read what it writes
    select(MESSAGES.c.id)
    .where(MESSAGES.c.chat_id == bindparam("of_chat"), MESSAGES.c.superseded.is_(False))
    .order_by(MESSAGES.c.first_turn_id.desc(), MESSAGES.c.id.desc())
    .limit(1)
    .subquery()
)
_INSERT_MESSAGE = built_once(insert(MESSAGES))
_INSERT_LAST_MESSAGE = _INSERT_MESSAGE.values(parent_id=select(_last.c.id).scalar_subquery())
_SUPERSEDE_ANSWERS = built_once(
    update(MESSAGES)
    .where(
        MESSAGES.c.parent_id == bindparam("of_question"),
        MESSAGES.c.chat_id == bindparam("of_chat"),
        MESSAGES.c.role == Role.ASSISTANT,
    )
    .values(superseded=True)
)
_MESSAGE = built_once(select(MESSAGES).where(MESSAGES.c.id == bindparam("number")))
_AGENTS = built_once(select(TURNS.c.agents).where(TURNS.c.id == bindparam("number")))


def insert_turn(
    connection: Connection,
    chat: Row[Any],
    status: TurnStatus,
    agents: Sequence[str],
    request: TurnRequest,
    title: str | None = None,
) -> Turn:
    """Stores a turn of `chat` (db.claims.CHAT), which moves with it, and takes the title if it has none of its own."""
    now = datetime.now(UTC)
    moved = {"of_chat": chat.id, "updated_at": now}
    if title is not None and not chat.titled:
        moved |= {"title": title, "title_key": same_for_people(title), "titled": True}
    connection.execute(_MOVE_CHAT, moved)
    row = {
        "chat_id": chat.id,
        "open_chat_id": chat.id,
        "running_chat_id": chat.id if status is TurnStatus.RUNNING else None,
        "client_message_id": request.client_message_id,
        "agents": list(agents),
        "status": status,
        "routes": [],
        "timeline": STARTED,
        "lease": microseconds(request.lease),
        "created_at": now,
    }
    return Turn(_number(connection, _INSERT_TURN, row), chat.id, status, now, agents=tuple(agents))


def ask(connection: Connection, turn: Turn, text: str) -> BegunTurn:
    """Stores a turn's question, at the end of the conversation, and its answer, whose id comes after."""
    row = _row(turn, Role.USER, text, turn.id)
    question = _message(connection, turn, row | {"of_chat": turn.chat_id}, _INSERT_LAST_MESSAGE)
    answer = _message(connection, turn, _row(turn, Role.ASSISTANT, "", turn.id) | {"parent_id": question.id})
    return BegunTurn(turn, question, answer, created=True)


def ask_again(connection: Connection, turn: Turn, question: Row[Any]) -> BegunTurn:
    """Stores a turn's answer, which takes the place of the others of `question` (a row of messages)."""
    connection.execute(_SUPERSEDE_ANSWERS, {"of_question": question.id, "of_chat": turn.chat_id})
    forget_what_covers(connection, turn.chat_id, question.first_turn_id)
    row = _row(turn, Role.ASSISTANT, "", question.first_turn_id)
    answer = _message(connection, turn, row | {"parent_id": question.id})
    return BegunTurn(turn, to_message(question), answer, created=True)


def question_of(connection: Connection, message_id: int) -> tuple[Row[Any], Sequence[str]]:
    """The question (a row of messages) that a message is, or answers, and the agents that were asked for with it."""
    question = connection.execute(_MESSAGE, {"number": message_id}).one()
    if question.role is not Role.USER:
        question = connection.execute(_MESSAGE, {"number": question.parent_id}).one()
    return question, connection.execute(_AGENTS, {"number": question.turn_id}).scalar_one()


def _row(turn: Turn, role: Role, text: str, first_turn_id: int) -> dict[str, Any]:
    return {
        "chat_id": turn.chat_id,
        "turn_id": turn.id,
        "first_turn_id": first_turn_id,
        "role": role,
        "text": text,
        "superseded": False,  # the default, which would be for SQLAlchemy to fill in at each run
        "rating": Rating.NONE,
        "created_at": turn.created_at,
    }


def _message(connection: Connection, turn: Turn, row: dict[str, Any], statement: Insert = _INSERT_MESSAGE) -> Message:
    number = _number(connection, statement, row)
    return Message(number, turn.chat_id, turn.id, row["role"], row["text"], turn.created_at)


def _number(connection: Connection, statement: Insert, row: dict[str, Any]) -> int:
    """The new row's."""
    key = cast("Row[Any]", connection.execute(statement, row).inserted_primary_key)
    return int(key[0])
