"""Turns in SQL.

Whoever writes locks in one order: the chat's row, the turn's, then what hangs on it. The chat's row lock decides
between messages that arrive in one chat at once, on every database alike; the UNIQUE constraints of the table hold
whatever the code does, and a violation (WriteConflict here) sends the loser round again to find the winner's turn.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from db.answers import claimed_turn, stored_turn, write_answer
from db.clock import clock_ahead_by, database_clock, microseconds
from db.engine import Database, WriteSession
from db.failures import WriteConflict
from db.rows import from_routes, same_for_people, to_message, to_turn
from db.tables import TURNS, ChatRow, MessageRow, TurnRow
from db.transactions import one_transaction
from domain.errors import ChatBusy, ErrorCode, IdempotencyMismatch, NotFound
from domain.model import Rating, Role, Turn, TurnStatus
from domain.ports import BegunTurn, StoredTurn, TurnOutcome, TurnProgress, TurnStore

# Built once: these run twice a second for every turn that streams.
_RENEW = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("of_turn"), TURNS.c.status == TurnStatus.RUNNING)
    .values(lease_until=clock_ahead_by("lease"))
)
_SAVE = _RENEW.values({name: bindparam(f"new_{name}") for name in ("timeline", "standalone_question", "routes")})

SERVER_STOPPED = "The server stopped while answering."


class SqlTurnStore(TurnStore):
    """Leases are told by the database's clock; the other times are this process's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def begin_turn(
        self,
        user_id: int,
        chat_id: int,
        text: str,
        client_message_id: str | None,
        agents: Sequence[str],
        title: str,
        lease: timedelta,
    ) -> BegunTurn:
        async with self._database.write() as session:
            mine = select(ChatRow).where(ChatRow.id == chat_id, ChatRow.user_id == user_id)
            chat = await session.scalar(mine.with_for_update())
            if chat is None:
                raise NotFound("There is no such chat.")
            running_id = await _running_turn(session, chat_id)
            if client_message_id is not None:
                claimed = await claimed_turn(session, chat_id, client_message_id)
                if claimed is not None:
                    return _attached(claimed, text)
            if running_id is not None:
                raise ChatBusy(running_id)
            now = datetime.now(UTC)
            chat.updated_at = now
            if not chat.titled:
                chat.title, chat.title_key, chat.titled = title, same_for_people(title), True
            turn = TurnRow(
                chat_id=chat_id,
                running_chat_id=chat_id,
                client_message_id=client_message_id,
                agents=list(agents),
                status=TurnStatus.RUNNING,
                routes=[],
                timeline="",
                lease_until=database_clock(lease),
                created_at=now,
            )
            try:
                return await _stored(session, turn, text)
            except IntegrityError as error:
                raise WriteConflict from error

    @one_transaction
    async def save_progress(self, turn_id: int, progress: TurnProgress | None, lease: timedelta) -> bool:
        parameters: dict[str, Any] = {"of_turn": turn_id, "lease": microseconds(lease)}
        if progress is not None:
            parameters |= {f"new_{name}": value for name, value in _progress_values(progress).items()}
        async with self._database.write() as session:
            result = await session.execute(_RENEW if progress is None else _SAVE, parameters)
            if cast("CursorResult[Any]", result).rowcount == 0:
                return False
            if progress is not None:
                await write_answer(session, turn_id, progress.text, progress.sources)
            return True

    @one_transaction
    async def finish_turn(self, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
        now = datetime.now(UTC)
        values = _ended(outcome.status, now) | _progress_values(outcome.progress)
        values |= {"model": outcome.model, "first_token_at": outcome.first_token_at}
        if outcome.usage is not None:
            values["prompt_tokens"] = outcome.usage.prompt_tokens
            values["completion_tokens"] = outcome.usage.completion_tokens
        if outcome.error is not None:
            values["error_code"] = outcome.error.code
            values["error_message"] = outcome.error.message
            values["error_retryable"] = outcome.error.retryable
        async with self._database.write() as session:
            chat_id = await session.scalar(select(TurnRow.chat_id).where(TurnRow.id == turn_id))
            if chat_id is None:
                return None
            await session.execute(select(ChatRow.id).where(ChatRow.id == chat_id).with_for_update())
            if not await _update_running(session, TurnRow.id == turn_id, values):
                return None
            await write_answer(session, turn_id, outcome.progress.text, outcome.progress.sources)
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

    @one_transaction
    async def interrupt_expired(self) -> list[int]:
        async with self._database.read() as reading:
            expired = (await reading.scalars(select(TurnRow.id).where(_lease_ran_out()).order_by(TurnRow.id))).all()
        if not expired:  # as nearly always: nobody's write has to wait for this look
            return []
        async with self._database.write() as session:
            return [turn_id for turn_id in expired if await _interrupt(session, turn_id)]


async def _running_turn(session: WriteSession, chat_id: int) -> int | None:
    """The turn that holds the chat's slot, which one whose lease ran out loses here."""
    query = select(TurnRow.id, _lease_ran_out()).where(TurnRow.running_chat_id == chat_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    turn_id, ran_out = found
    return None if ran_out and await _interrupt(session, turn_id) else turn_id


async def _interrupt(session: WriteSession, turn_id: int) -> bool:
    values = _ended(TurnStatus.INTERRUPTED, datetime.now(UTC))
    values |= {"error_code": ErrorCode.INTERNAL, "error_message": SERVER_STOPPED, "error_retryable": True}
    return await _update_running(session, (TurnRow.id == turn_id) & _lease_ran_out(), values)


async def _update_running(session: WriteSession, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
    """False, and nothing changed, unless the turn is RUNNING."""
    statement = update(TurnRow).where(where, TurnRow.status == TurnStatus.RUNNING).values(values)
    result = await session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1


async def _stored(session: WriteSession, turn: TurnRow, text: str) -> BegunTurn:
    session.add(turn)
    await session.flush()
    question = _message(turn, Role.USER, text)
    session.add(question)
    await session.flush()  # by itself, so that the question's id comes before the answer's
    answer = _message(turn, Role.ASSISTANT, "")
    session.add(answer)
    await session.flush()
    return BegunTurn(to_turn(turn), to_message(question), to_message(answer), created=True)


def _message(turn: TurnRow, role: Role, text: str) -> MessageRow:
    return MessageRow(
        chat_id=turn.chat_id,
        turn_id=turn.id,
        role=role,
        text=text,
        rating=Rating.NONE,
        created_at=turn.created_at,
    )


def _attached(claimed: StoredTurn, text: str) -> BegunTurn:
    """Raises IdempotencyMismatch. Texts are compared here, since a database's collation may call others equal."""
    if claimed.user_message.text != text:
        raise IdempotencyMismatch
    return BegunTurn(claimed.turn, claimed.user_message, claimed.answer, created=False)


def _lease_ran_out() -> ColumnElement[bool]:
    return TurnRow.lease_until < database_clock()


def _ended(status: TurnStatus, at: datetime) -> dict[str, Any]:
    return {"status": status, "ended_at": at, "running_chat_id": None, "lease_until": None}


def _progress_values(progress: TurnProgress) -> dict[str, Any]:
    return {
        "timeline": progress.timeline,
        "standalone_question": progress.standalone_question,
        "routes": from_routes(progress.routes),
    }
