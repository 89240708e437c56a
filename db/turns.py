"""Turns in SQL.

Whoever writes locks in one order: the chat's row, the turn's, then what hangs on it. The chat's row lock decides
between messages that arrive in one chat at once, on every database alike; the UNIQUE constraints of the table hold
whatever the code does, and a violation (WriteConflict here) sends the loser round again to find the winner's turn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from db.answers import bare_turn, stored_turn, with_sources, write_answers
from db.claims import CHAT, change, claim, ended, locked_chat
from db.engine import Database
from db.failures import WriteConflict
from db.new_turns import ask, ask_again, insert_turn, question_of
from db.progress import progress_values, save_batch
from db.recall import messages_before
from db.rows import from_error, to_turn
from db.statements import built_once
from db.tables import CHATS, MESSAGES, TURNS
from db.transactions import one_transaction
from domain.errors import NotFound
from domain.model import Turn, TurnStatus
from domain.ports import TurnStore
from domain.records import BegunTurn, StoredTurn, TurnOutcome, TurnProgress, TurnRequest

_MY_CHAT = CHAT.where(CHATS.c.id == bindparam("chat"), CHATS.c.user_id == bindparam("user"))
_asked_in = select(MESSAGES.c.chat_id).where(MESSAGES.c.id == bindparam("message")).scalar_subquery()
_CHAT_OF_MY_MESSAGE = CHAT.where(CHATS.c.id == _asked_in, CHATS.c.user_id == bindparam("user"))
_MOVE_CHAT = built_once(update(CHATS).where(CHATS.c.id == bindparam("of_chat")).values(updated_at=bindparam("now")))
_MY_TURNS = (
    select(TURNS)
    .join(CHATS, CHATS.c.id == TURNS.c.chat_id)
    .where(CHATS.c.user_id == bindparam("user"), TURNS.c.id.in_(bindparam("ids", expanding=True)))
)


class SqlTurnStore(TurnStore):
    """Leases are told by the database's clock; the other times are this process's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def begin_turn(
        self, user_id: int, chat_id: int, text: str, agents: Sequence[str], title: str, request: TurnRequest
    ) -> BegunTurn:
        admit = self._admission(request)

        def is_same(turn: StoredTurn) -> bool:
            # Compared here, since a database's collation may call others equal
            return turn.user_message.text == text and turn.user_message.turn_id == turn.turn.id

        def begin(connection: Connection) -> BegunTurn:
            chat = locked_chat(connection, _MY_CHAT, {"chat": chat_id, "user": user_id})
            if chat is None:
                raise NotFound("There is no such chat.")
            claimed = claim(connection, chat_id, request, admit, is_same)
            if isinstance(claimed, StoredTurn):
                return _attached(claimed)
            with _taken_meanwhile():
                begun = ask(connection, insert_turn(connection, chat, claimed, agents, request, title), text)
            return self._written(connection, begun, request)

        return await self._database.write_briefly(begin)

    @one_transaction
    async def begin_again(self, user_id: int, message_id: int, request: TurnRequest) -> BegunTurn:
        admit = self._admission(request)

        def begin(connection: Connection) -> BegunTurn:
            chat = locked_chat(connection, _CHAT_OF_MY_MESSAGE, {"message": message_id, "user": user_id})
            if chat is None:
                raise NotFound("There is no such message.")
            question, agents = question_of(connection, message_id)

            def is_same(turn: StoredTurn) -> bool:
                return bool(turn.user_message.id == question.id and question.turn_id != turn.turn.id)

            claimed = claim(connection, chat.id, request, admit, is_same)
            if isinstance(claimed, StoredTurn):
                return _attached(claimed)
            with _taken_meanwhile():
                begun = ask_again(connection, insert_turn(connection, chat, claimed, agents, request), question)
            return self._written(connection, begun, request)

        return await self._database.write_briefly(begin)

    @one_transaction
    async def save_progress(self, batch: Mapping[int, TurnProgress | None], lease: timedelta) -> set[int]:
        if not batch:
            return set()
        return await self._database.write_at_once(partial(save_batch, batch=batch, lease=lease))

    @one_transaction
    async def finish_turn(self, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
        return await self._database.write_at_once(partial(_finish, turn_id=turn_id, outcome=outcome))

    @one_transaction
    async def get_turns(self, user_id: int, turn_ids: Sequence[int]) -> dict[int, Turn]:
        if not turn_ids:
            return {}
        rows = await self._database.look(_MY_TURNS, {"user": user_id, "ids": list(turn_ids)})
        return {row.id: to_turn(row) for row in rows}

    @one_transaction
    async def load_turn(self, user_id: int, turn_id: int) -> StoredTurn | None:
        return await self._database.read_at_once(partial(stored_turn, turn_id=turn_id, user_id=user_id))

    def _admission(self, request: TurnRequest) -> Callable[[], None]:
        admit = request.admit
        return (lambda: None) if admit is None else partial(self._database.wait_for, admit)

    def _written(self, connection: Connection, begun: BegunTurn, request: TurnRequest) -> BegunTurn:
        """With what was said before, and told to who asked; unless the turn waits: then more is said until it runs."""
        if begun.turn.status is not TurnStatus.RUNNING:
            return begun
        if request.recall:
            begun = replace(begun, before=messages_before(connection, begun.user_message, request.recall))
        if request.written is not None:
            self._database.tell(partial(request.written, begun))
        return begun


def _finish(connection: Connection, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
    """What is returned was read before anything was locked, except for what is written here: the rest of a turn and of
    its messages does not change any more."""
    stored = bare_turn(connection, turn_id)
    if stored is None:
        return None
    now, progress = datetime.now(UTC), outcome.progress
    values = ended(outcome.status, now) | progress_values(progress)
    values |= {"model": outcome.model, "first_token_at": outcome.first_token_at}
    values["groundedness"] = outcome.groundedness
    if outcome.usage is not None:
        values["prompt_tokens"] = outcome.usage.prompt_tokens
        values["completion_tokens"] = outcome.usage.completion_tokens
    if outcome.error is not None:
        values |= from_error(outcome.error)
    connection.execute(_MOVE_CHAT, {"of_chat": stored.turn.chat_id, "now": now})  # and lock it
    if not change(connection, turn_id, TurnStatus.RUNNING, values):
        connection.rollback()
        return None
    write_answers(connection, {turn_id: (progress.text, progress.sources)})
    turn = replace(
        stored.turn,
        status=outcome.status,
        standalone_question=progress.standalone_question,
        routes=progress.routes,
        usage=outcome.usage,
        error=outcome.error,
        ended_at=now,
        groundedness=outcome.groundedness,
    )
    answer = replace(stored.answer, text=progress.text, sources=progress.sources or ())
    ended_turn = StoredTurn(turn, stored.user_message, answer, progress.timeline)
    return with_sources(connection, ended_turn) if progress.sources is None else ended_turn


@contextmanager
def _taken_meanwhile() -> Iterator[None]:
    """A constraint of the table stands in the way: somebody else was here, whom another look finds."""
    try:
        yield
    except IntegrityError as error:
        raise WriteConflict from error


def _attached(claimed: StoredTurn) -> BegunTurn:
    return BegunTurn(claimed.turn, claimed.user_message, claimed.answer, created=False)
