"""Turns in SQL.

Whoever writes locks in one order: the chat's row, the turn's, then what hangs on it. The chat's row lock decides
between messages that arrive in one chat at once, on every database alike; the UNIQUE constraints of the table hold
whatever the code does, and a violation (WriteConflict here) sends the loser round again to find the winner's turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from db.answers import stored_turn, write_answers
from db.claims import change, claim, ended, locked_chat
from db.clock import database_clock
from db.engine import Database, WriteSession
from db.failures import WriteConflict
from db.progress import progress_values, save_batch
from db.rows import from_error, same_for_people, to_message, to_turn
from db.tables import ChatRow, MessageRow, TurnRow
from db.transactions import one_transaction
from domain.errors import NotFound
from domain.model import Rating, Role, Turn, TurnStatus
from domain.ports import BegunTurn, StoredTurn, TurnOutcome, TurnProgress, TurnRequest, TurnStore
from domain.replay import STARTED


class SqlTurnStore(TurnStore):
    """Leases are told by the database's clock; the other times are this process's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def begin_turn(
        self, user_id: int, chat_id: int, text: str, agents: Sequence[str], title: str, request: TurnRequest
    ) -> BegunTurn:
        def is_same(turn: StoredTurn) -> bool:
            # Compared here, since a database's collation may call others equal
            return turn.user_message.text == text and turn.user_message.turn_id == turn.turn.id

        async with self._database.write() as session:
            chat = await locked_chat(session, ChatRow.id == chat_id, ChatRow.user_id == user_id)
            if chat is None:
                raise NotFound("There is no such chat.")
            claimed = await claim(session, chat_id, request, is_same)
            if isinstance(claimed, StoredTurn):
                return _attached(claimed)
            turn = _new_turn(chat, claimed, agents, request)
            if not chat.titled:
                chat.title, chat.title_key, chat.titled = title, same_for_people(title), True
            with _taken_meanwhile():
                return await _asked(session, turn, text)

    @one_transaction
    async def begin_again(self, user_id: int, message_id: int, request: TurnRequest) -> BegunTurn:
        async with self._database.write() as session:
            asked_in = select(MessageRow.chat_id).where(MessageRow.id == message_id).scalar_subquery()
            chat = await locked_chat(session, ChatRow.id == asked_in, ChatRow.user_id == user_id)
            if chat is None:
                raise NotFound("There is no such message.")
            question, agents = await _question_of(session, message_id)

            def is_same(turn: StoredTurn) -> bool:
                return turn.user_message.id == question.id and question.turn_id != turn.turn.id

            claimed = await claim(session, chat.id, request, is_same)
            if isinstance(claimed, StoredTurn):
                return _attached(claimed)
            turn = _new_turn(chat, claimed, agents, request)
            with _taken_meanwhile():
                return await _asked_again(session, turn, question)

    @one_transaction
    async def save_progress(self, batch: Mapping[int, TurnProgress | None], lease: timedelta) -> set[int]:
        async with self._database.write() as session:
            return await save_batch(session, batch, lease)

    @one_transaction
    async def finish_turn(self, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
        now = datetime.now(UTC)
        values = ended(outcome.status, now) | progress_values(outcome.progress)
        values |= {"model": outcome.model, "first_token_at": outcome.first_token_at}
        if outcome.usage is not None:
            values["prompt_tokens"] = outcome.usage.prompt_tokens
            values["completion_tokens"] = outcome.usage.completion_tokens
        if outcome.error is not None:
            values |= from_error(outcome.error)
        async with self._database.write() as session:
            chat_id = await session.scalar(select(TurnRow.chat_id).where(TurnRow.id == turn_id))
            if chat_id is None:
                return None
            await session.execute(select(ChatRow.id).where(ChatRow.id == chat_id).with_for_update())
            if not await change(session, TurnStatus.RUNNING, TurnRow.id == turn_id, values):
                return None
            await write_answers(session, {turn_id: (outcome.progress.text, outcome.progress.sources)})
            await session.execute(update(ChatRow).where(ChatRow.id == chat_id).values(updated_at=now))
            return await stored_turn(session, turn_id)

    @one_transaction
    async def get_turns(self, user_id: int, turn_ids: Sequence[int]) -> dict[int, Turn]:
        if not turn_ids:
            return {}
        query = (
            select(TurnRow)
            .join(ChatRow, ChatRow.id == TurnRow.chat_id)
            .where(ChatRow.user_id == user_id, TurnRow.id.in_(turn_ids))
        )
        async with self._database.read() as session:
            return {row.id: to_turn(row) for row in await session.scalars(query)}

    @one_transaction
    async def load_turn(self, user_id: int, turn_id: int) -> StoredTurn | None:
        async with self._database.read() as session:
            return await stored_turn(session, turn_id, user_id)


@contextmanager
def _taken_meanwhile() -> Iterator[None]:
    """A constraint of the table stands in the way: somebody else was here, whom another look finds."""
    try:
        yield
    except IntegrityError as error:
        raise WriteConflict from error


def _new_turn(chat: ChatRow, status: TurnStatus, agents: Sequence[str], request: TurnRequest) -> TurnRow:
    chat.updated_at = datetime.now(UTC)
    return TurnRow(
        chat_id=chat.id,
        open_chat_id=chat.id,
        running_chat_id=chat.id if status is TurnStatus.RUNNING else None,
        client_message_id=request.client_message_id,
        agents=list(agents),
        status=status,
        routes=[],
        timeline=STARTED,
        lease_until=database_clock(request.lease),
        created_at=chat.updated_at,
    )


async def _asked(session: WriteSession, turn: TurnRow, text: str) -> BegunTurn:
    """Stores the turn with a new question, at the end of the conversation."""
    session.add(turn)
    await session.flush()
    last = select(MessageRow.id).where(MessageRow.chat_id == turn.chat_id, MessageRow.superseded.is_(False))
    before = last.order_by(MessageRow.first_turn_id.desc(), MessageRow.id.desc()).limit(1)
    question = _message(turn, Role.USER, text, turn.id, await session.scalar(before))
    session.add(question)
    await session.flush()  # by itself, so that the question's id comes before the answer's
    return await _to_be_answered(session, turn, question)


async def _asked_again(session: WriteSession, turn: TurnRow, question: MessageRow) -> BegunTurn:
    """Stores the turn with an answer that takes the place of the question's others."""
    session.add(turn)
    await session.flush()
    others = update(MessageRow).where(MessageRow.parent_id == question.id, MessageRow.chat_id == turn.chat_id)
    await session.execute(
        others.where(MessageRow.role == Role.ASSISTANT).values(superseded=True),
        execution_options={"synchronize_session": False},
    )
    return await _to_be_answered(session, turn, question)


async def _to_be_answered(session: WriteSession, turn: TurnRow, question: MessageRow) -> BegunTurn:
    answer = _message(turn, Role.ASSISTANT, "", question.first_turn_id, question.id)
    session.add(answer)
    await session.flush()
    return BegunTurn(to_turn(turn), to_message(question), to_message(answer), created=True)


def _message(turn: TurnRow, role: Role, text: str, first_turn_id: int, parent_id: int | None) -> MessageRow:
    return MessageRow(
        chat_id=turn.chat_id,
        turn_id=turn.id,
        first_turn_id=first_turn_id,
        parent_id=parent_id,
        role=role,
        text=text,
        rating=Rating.NONE,
        created_at=turn.created_at,
    )


async def _question_of(session: WriteSession, message_id: int) -> tuple[MessageRow, list[str]]:
    """The question that a message is, or answers, and the agents that were asked for with it."""
    message = await session.get_one(MessageRow, message_id)
    question = message if message.role is Role.USER else await session.get_one(MessageRow, message.parent_id)
    asked = await session.get_one(TurnRow, question.turn_id)
    return question, asked.agents


def _attached(claimed: StoredTurn) -> BegunTurn:
    return BegunTurn(claimed.turn, claimed.user_message, claimed.answer, created=False)
