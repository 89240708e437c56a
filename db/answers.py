"""What a turn has written so far, and reading a whole turn back."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.orm import aliased

from db.engine import ReadSession, WriteSession
from db.rows import from_source, to_message, to_turn
from db.tables import MESSAGES, SOURCES, ChatRow, MessageRow, SourceRow, TurnRow
from domain.model import Role, Source
from domain.ports import StoredTurn

# Built once: building a statement costs more than running it.
_its_answer = (MESSAGES.c.turn_id == bindparam("of_turn")) & (MESSAGES.c.role == Role.ASSISTANT)
_SET_TEXT = update(MESSAGES).where(_its_answer).values(text=bindparam("new_text"))
_DELETE_SOURCES = delete(SOURCES).where(SOURCES.c.message_id.in_(select(MESSAGES.c.id).where(_its_answer)))
_INSERT_SOURCES = insert(SOURCES)

_Question = aliased(MessageRow)
_Answer = aliased(MessageRow)


async def write_answers(session: WriteSession, answers: Mapping[int, tuple[str, Sequence[Source] | None]]) -> None:
    """Makes each turn's answer, by the turn's id, hold this text and these sources, which are its own
    (`Source.message_id`); None leaves the sources as they are."""
    texts = [{"of_turn": turn_id, "new_text": text} for turn_id, (text, _) in answers.items()]
    await session.execute(_SET_TEXT, texts)
    changed = {turn_id: sources for turn_id, (_, sources) in answers.items() if sources is not None}
    if not changed:
        return
    await session.execute(_DELETE_SOURCES, [{"of_turn": turn_id} for turn_id in changed])
    rows = [from_source(source) for sources in changed.values() for source in sources]
    if rows:
        await session.execute(_INSERT_SOURCES, rows)


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
    .join(_Answer, (_Answer.turn_id == TurnRow.id) & (_Answer.role == Role.ASSISTANT))
    .join(_Question, _Question.id == _Answer.parent_id)
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
