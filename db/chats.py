"""Chat sessions in SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, Select, delete, select, update

from db.engine import Database
from db.paging import Keyset, read_page
from db.rows import same_for_people, to_chat
from db.tables import ChatRow, TurnRow
from db.transactions import one_transaction
from domain.chats import DEFAULT_TITLE
from domain.errors import BadUserInput
from domain.model import ChatSession
from domain.pages import Page, PageRequest
from domain.ports import ChatStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqlChatStore(ChatStore):
    """A chat that is created with DEFAULT_TITLE has no title of its own yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @one_transaction
    async def create_chat(self, user_id: int, title: str) -> ChatSession:
        now = datetime.now(UTC)
        row = ChatRow(
            user_id=user_id,
            title=title,
            title_key=same_for_people(title),
            titled=title != DEFAULT_TITLE,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as session:
            session.add(row)
            await session.flush()
        return to_chat(row)

    @one_transaction
    async def get_chats(self, user_id: int, chat_ids: Sequence[int]) -> dict[int, ChatSession]:
        if not chat_ids:
            return {}
        async with self._database.read() as session:
            rows = await session.execute(_chats_of(user_id).where(ChatRow.id.in_(chat_ids)))
            return {row[0].id: _to_chat(row) for row in rows}

    @one_transaction
    async def list_chats(self, user_id: int, page: PageRequest, search: str | None = None) -> Page[ChatSession]:
        query = _chats_of(user_id)
        if search:
            query = query.where(ChatRow.title_key.contains(same_for_people(search), autoescape=True))
        async with self._database.read() as session:
            return await read_page(session, query, _BY_ACTIVITY, page, _to_chat)

    @one_transaction
    async def rename_chat(self, user_id: int, chat_id: int, title: str) -> ChatSession | None:
        async with self._database.write() as session:
            await session.execute(
                update(ChatRow)
                .where(ChatRow.id == chat_id, ChatRow.user_id == user_id)
                .values(title=title, title_key=same_for_people(title), titled=True)
            )
            row = (await session.execute(_chats_of(user_id).where(ChatRow.id == chat_id))).one_or_none()
            return None if row is None else _to_chat(row)

    @one_transaction
    async def delete_chat(self, user_id: int, chat_id: int) -> bool:
        mine = (ChatRow.id == chat_id, ChatRow.user_id == user_id)
        async with self._database.write() as session:
            # The order in which all that write lock: chat, turn, messages. A cascade's own order is anyone's.
            if await session.scalar(select(ChatRow.id).where(*mine).with_for_update()) is None:
                return False
            await session.execute(select(TurnRow.id).where(TurnRow.running_chat_id == chat_id).with_for_update())
            await session.execute(delete(ChatRow).where(*mine))
            return True


def _chats_of(user_id: int) -> Select[ChatRow, int]:
    running = TurnRow.running_chat_id == ChatRow.id
    return select(ChatRow, TurnRow.id).outerjoin(TurnRow, running).where(ChatRow.user_id == user_id)


def _to_chat(row: Row[ChatRow, int]) -> ChatSession:
    return to_chat(row[0], row[1])


def _key(chat: ChatRow) -> tuple[int, int]:
    return (chat.updated_at - _EPOCH) // _MICROSECOND, chat.id


def _values(microseconds: int, chat_id: int) -> tuple[datetime, int]:
    try:
        return _EPOCH + microseconds * _MICROSECOND, chat_id
    except OverflowError as error:
        raise BadUserInput(fields={"cursor": "is not a cursor of this list"}) from error


_BY_ACTIVITY = Keyset("chats", (ChatRow.updated_at, ChatRow.id), _key, _values, descending=True)
