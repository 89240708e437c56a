"""What a turn has written so far, and reading a whole turn back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from db.rows import from_source, to_message, to_source, to_turn
from db.statements import built_once
from db.tables import CHATS, MESSAGES, SOURCES, TURNS
from domain.model import Role, Source
from domain.records import StoredTurn

# Built once, as all statements that every turn runs: to build one costs more than to run it.
_its_answer = (MESSAGES.c.turn_id == bindparam("of_turn")) & (MESSAGES.c.role == Role.ASSISTANT)
_SET_TEXT = update(MESSAGES).where(_its_answer).values(text=bindparam("new_text"))
_DELETE_SOURCES = delete(SOURCES).where(SOURCES.c.message_id.in_(select(MESSAGES.c.id).where(_its_answer)))
_INSERT_SOURCES = insert(SOURCES)

_question, _answer = MESSAGES.alias("question"), MESSAGES.alias("answer")
_TURN = built_once(
    select(TURNS, _question, _answer)
    .join(_answer, (_answer.c.turn_id == TURNS.c.id) & (_answer.c.role == Role.ASSISTANT))
    .join(_question, _question.c.id == _answer.c.parent_id)
    .where(TURNS.c.id == bindparam("of_turn"))
)
_TURN_OF_USER = _TURN.join(CHATS, CHATS.c.id == TURNS.c.chat_id).where(CHATS.c.user_id == bindparam("user"))
_SOURCES = built_once(
    select(SOURCES).where(SOURCES.c.message_id == bindparam("of_message")).order_by(SOURCES.c.ordinal)
)


def write_answers(connection: Connection, answers: Mapping[int, tuple[str, Sequence[Source] | None]]) -> None:
    """Makes each turn's answer, by the turn's id, hold this text and these sources, which are its own
    (`Source.message_id`); None leaves the sources as they are."""
    texts = [{"of_turn": turn_id, "new_text": text} for turn_id, (text, _) in answers.items()]
    connection.execute(_SET_TEXT, texts)
    changed = {turn_id: sources for turn_id, (_, sources) in answers.items() if sources is not None}
    if not changed:
        return
    connection.execute(_DELETE_SOURCES, [{"of_turn": turn_id} for turn_id in changed])
    rows = [from_source(source) for sources in changed.values() for source in sources]
    if rows:
        connection.execute(_INSERT_SOURCES, rows)


def stored_turn(connection: Connection, turn_id: int, user_id: int | None = None) -> StoredTurn | None:
    """The turn with its messages and sources; with a `user_id`, only if it is that user's."""
    found = bare_turn(connection, turn_id, user_id)
    return None if found is None else with_sources(connection, found)


def bare_turn(connection: Connection, turn_id: int, user_id: int | None = None) -> StoredTurn | None:
    """As `stored_turn`, without the sources."""
    if user_id is None:
        found = connection.execute(_TURN, {"of_turn": turn_id}).one_or_none()
    else:
        found = connection.execute(_TURN_OF_USER, {"of_turn": turn_id, "user": user_id}).one_or_none()
    if found is None:
        return None
    columns = iter(found)
    turn, question, answer = (
        SimpleNamespace(**dict(zip(table.c.keys(), columns, strict=False))) for table in (TURNS, MESSAGES, MESSAGES)
    )
    return StoredTurn(to_turn(turn), to_message(question), to_message(answer), turn.timeline)


def with_sources(connection: Connection, bare: StoredTurn) -> StoredTurn:
    rows = connection.execute(_SOURCES, {"of_message": bare.answer.id})
    return replace(bare, answer=replace(bare.answer, sources=tuple(to_source(row) for row in rows)))
