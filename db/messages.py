"""Messages and their sources in SQL."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, select, update
from sqlalchemy.orm import aliased

from db.engine import Database
from db.paging import Keyset, Lists, read_pages
from db.recall import RECENT, in_order
from db.rows import to_message, to_source
from db.tables import ChatRow, MessageRow, SourceRow
from db.transactions import one_transaction
from domain.model import Message, Rating, Role, Source
from domain.pages import Page, PageRequest
from domain.ports import MessageStore


class SqlMessageStore(MessageStore):
    """A message belongs to the user of its chat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def list_messages(self, user_id: int, chat_ids: Sequence[int], page: PageRequest) -> dict[int, Page[Message]]:
        if not chat_ids:
            return {}
        mine = and_(ChatRow.user_id == user_id, ChatRow.id.in_(chat_ids))
        async with self._database.read() as session:
            conversations = Lists(ChatRow, mine, MessageRow, _in_conversation)
            return await read_pages(session, conversations, _IN_ORDER, page, to_message)

    @one_transaction
    async def get_messages(self, user_id: int, message_ids: Sequence[int]) -> dict[int, Message]:
        if not message_ids:
            return {}
        async with self._database.read() as session:
            rows = await session.scalars(_messages_of(user_id).where(MessageRow.id.in_(message_ids)))
            return {row.id: to_message(row) for row in rows}

    @one_transaction
    async def get_versions(self, user_id: int, message_ids: Sequence[int]) -> dict[int, tuple[Message, ...]]:
        if not message_ids:
            return {}
        same = (MessageRow.chat_id == _One.chat_id) & (MessageRow.first_turn_id == _One.first_turn_id)
        query = (
            select(_One.id, MessageRow)
            .join(ChatRow, ChatRow.id == _One.chat_id)
            .join(MessageRow, same & (MessageRow.role == _One.role))
            .where(ChatRow.user_id == user_id, _One.id.in_(message_ids))
            .order_by(_One.id, MessageRow.id)
        )
        found: defaultdict[int, list[Message]] = defaultdict(list)
        async with self._database.read() as session:
            for message_id, row in await session.execute(query):
                found[message_id].append(to_message(row))
        return {message_id: tuple(versions) for message_id, versions in found.items()}

    @one_transaction
    async def get_sources(self, user_id: int, message_ids: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        if not message_ids:
            return {}
        query = (
            select(MessageRow.id, SourceRow)
            .join(ChatRow, ChatRow.id == MessageRow.chat_id)
            .outerjoin(SourceRow, SourceRow.message_id == MessageRow.id)
            .where(ChatRow.user_id == user_id, MessageRow.id.in_(message_ids))
            .order_by(MessageRow.id, SourceRow.ordinal)
        )
        found: defaultdict[int, list[Source]] = defaultdict(list)
        async with self._database.read() as session:
            for message_id, row in await session.execute(query):
                found[message_id] += [to_source(row)] if row is not None else []
        return {message_id: tuple(sources) for message_id, sources in found.items()}

    @one_transaction
    async def rate_message(self, user_id: int, message_id: int, rating: Rating, comment: str | None) -> Message | None:
        answer = _messages_of(user_id).where(MessageRow.id == message_id, MessageRow.role == Role.ASSISTANT)
        async with self._database.write() as session:
            row = await session.scalar(answer)
            if row is None:
                return None
            # An UPDATE of these columns alone: the turn may be writing the text
            await session.execute(
                update(MessageRow).where(MessageRow.id == message_id).values(rating=rating, rating_comment=comment)
            )
            return to_message(row)

    @one_transaction
    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        return in_order(await self._database.look(RECENT, {"chat": chat_id, "before": before_id, "limit": limit}))


def _messages_of(user_id: int) -> Select[MessageRow]:
    return select(MessageRow).join(ChatRow, ChatRow.id == MessageRow.chat_id).where(ChatRow.user_id == user_id)


def _in_conversation(message: type[MessageRow]) -> ColumnElement[bool]:
    """Of the chat that is read, in its newest version."""
    return and_(message.chat_id == ChatRow.id, message.superseded.is_(False))


def _key(message: MessageRow) -> tuple[int, int]:
    return message.first_turn_id, message.id


def _values(first_turn_id: int, message_id: int) -> tuple[int, int]:
    return first_turn_id, message_id


_IN_ORDER = Keyset("messages", (MessageRow.first_turn_id, MessageRow.id), _key, _values)
_One = aliased(MessageRow)
