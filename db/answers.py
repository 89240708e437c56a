"""What a turn has written so far, and reading a whole turn back."""

from collections.abc import Sequence

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import aliased

from db.engine import ReadSession, WriteSession
from db.rows import from_source, to_message, to_source, to_turn
from db.tables import MESSAGES, SOURCES, ChatRow, MessageRow, SourceRow, TurnRow
from domain.model import Role, Source
from domain.ports import StoredTurn

# Built once: building a statement costs more than running it.
_its_answer = (MESSAGES.c.turn_id == bindparam("of_turn")) & (MESSAGES.c.role == Role.ASSISTANT)
_SET_TEXT = update(MESSAGES).where(_its_answer).values(text=bindparam("new_text"))
_SOURCES = (
    select(SOURCES).join(MESSAGES, MESSAGES.c.id == SOURCES.c.message_id).where(_its_answer).order_by(SOURCES.c.ordinal)
)
_DELETE_SOURCES = delete(SOURCES).where(SOURCES.c.message_id.in_(select(MESSAGES.c.id).where(_its_answer)))

_Question = aliased(MessageRow)
_Answer = aliased(MessageRow)


async def write_answer(session: WriteSession, turn_id: int, text: str, sources: Sequence[Source]) -> None:
    """Makes the turn's answer hold this text and these sources, which are its own (`Source.message_id`). Sources are
    rewritten only when they differ: this runs twice a second while a turn streams."""
    await session.execute(_SET_TEXT, {"of_turn": turn_id, "new_text": text})
    rows = await session.execute(_SOURCES, {"of_turn": turn_id})
    if tuple(to_source(row) for row in rows) == tuple(sources):
        return
    await session.execute(_DELETE_SOURCES, {"of_turn": turn_id})
    if sources:
        await session.execute(insert(SOURCES), [from_source(source) for source in sources])


async def stored_turn(
    session: ReadSession | WriteSession, turn_id: int, user_id: int | None = None
) -> StoredTurn | None:
    """The turn with its messages and sources; with a `user_id`, only if it is that user's."""
    return await _load(session, _TURN.where(TurnRow.id == turn_id), user_id)


async def claimed_turn(session: WriteSession, chat_id: int, client_message_id: str) -> StoredTurn | None:
    """The turn that a client message id began in this chat."""
    mine = (TurnRow.chat_id == chat_id, TurnRow.client_message_id == client_message_id)
    return await _load(session, _TURN.where(*mine), None)


_TURN: Select[TurnRow, MessageRow, MessageRow] = (
    select(TurnRow, _Question, _Answer)
    .join(_Question, (_Question.turn_id == TurnRow.id) & (_Question.role == Role.USER))
    .join(_Answer, (_Answer.turn_id == TurnRow.id) & (_Answer.role == Role.ASSISTANT))
)


async def _load(
    session: ReadSession | WriteSession, query: Select[TurnRow, MessageRow, MessageRow], user_id: int | None
) -> StoredTurn | None:
    if user_id is not None:
        query = query.join(ChatRow, ChatRow.id == TurnRow.chat_id).where(ChatRow.user_id == user_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    turn, question, answer = found
    sources = await session.scalars(
        select(SourceRow).where(SourceRow.message_id == answer.id).order_by(SourceRow.ordinal)
    )
    return StoredTurn(to_turn(turn), to_message(question), to_message(answer, sources.all()), turn.timeline)
