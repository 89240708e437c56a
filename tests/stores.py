"""All stores on one database, with short cuts to what store tests begin with."""

from dataclasses import dataclass
from datetime import timedelta

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.logins import SqlLoginStore
from db.messages import SqlMessageStore
from db.queue import SqlQueueStore
from db.summaries import SqlSummaryStore
from db.turns import SqlTurnStore
from domain.model import ChatSession, Source, Span, TurnError, TurnStatus, Usage, User
from domain.pages import PageRequest
from domain.ports import AccountStore, ChatStore, LoginStore, MessageStore, QueueStore, SummaryStore, TurnStore
from domain.records import BegunTurn, StoredTurn, TurnOutcome, TurnProgress, TurnRequest

LEASE = timedelta(seconds=30)
RAN_OUT = timedelta(seconds=-1)
NOBODYS_IDS = (0, -1, 999_999_999, 2**63 - 1, 2**63, 10**30)
"""Ids that no row has, and some that none can have."""
UNICODE = (
    "plain",
    "trailing spaces   ",
    "\tLines\r\nand \ttabs\n",
    "naïve Straße ΣΊΣΥΦΟΣ İstanbul",
    "e\u0301 is not \u00e9",
    "👩🏽‍🚀 🏴󠁧󠁢󠁳󠁣󠁴󠁿 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎",
    "עברית \u202eRTL\u202c العربية",
    "\u200b\ufeff\ufffd\uffff\U0010ffff",
    'it\'s \\ "quoted" %s :name {x} $1 ?',
)


@dataclass(frozen=True)
class Stores:
    database: Database
    accounts: AccountStore
    logins: LoginStore
    chats: ChatStore
    messages: MessageStore
    turns: TurnStore
    queue: QueueStore
    summaries: SummaryStore

    @classmethod
    def on(cls, database: Database) -> "Stores":
        return cls(
            database,
            SqlAccountStore(database),
            SqlLoginStore(database),
            SqlChatStore(database),
            SqlMessageStore(database),
            SqlTurnStore(database),
            SqlQueueStore(database),
            SqlSummaryStore(database),
        )

    async def user(self, name: str) -> User:
        return await self.accounts.create_user(name, f"{name}@example.test", "hash")

    async def chat(self, user: User, title: str = "A chat") -> ChatSession:
        return await self.chats.create_chat(user.id, title)

    async def get_chat(self, user_id: int, chat_id: int) -> ChatSession | None:
        return (await self.chats.get_chats(user_id, [chat_id])).get(chat_id)

    async def begin(
        self, chat: ChatSession, user: User, text: str = "Hello?", key: str | None = None, lease: timedelta = LEASE
    ) -> BegunTurn:
        request = TurnRequest(lease, key)
        return await self.turns.begin_turn(user.id, chat.id, text, ("help",), "From the message", request)

    async def load(self, user: User, begun: BegunTurn) -> StoredTurn:
        stored = await self.turns.load_turn(user.id, begun.turn.id)
        assert stored is not None
        return stored

    async def texts(self, user: User, chat: ChatSession) -> list[str]:
        """Of the chat's messages, in order."""
        pages = await self.messages.list_messages(user.id, [chat.id], PageRequest(100))
        return [message.text for message in pages[chat.id].items]

    async def save(self, turn_id: int, written: TurnProgress | None, lease: timedelta = LEASE) -> bool:
        """Saves one turn. False when it is not RUNNING any more."""
        return not await self.turns.save_progress({turn_id: written}, lease)

    async def answered(self, chat: ChatSession, user: User, text: str = "Hello?", key: str | None = None) -> StoredTurn:
        begun = await self.begin(chat, user, text, key)
        stored = await self.turns.finish_turn(begun.turn.id, outcome(progress(begun, f"An answer to {text}")))
        assert stored is not None
        return stored


def progress(begun: BegunTurn, text: str, *sources: Source, timeline: str = "s 1") -> TurnProgress:
    return TurnProgress(text, timeline, None, (), sources)


def outcome(
    written: TurnProgress,
    status: TurnStatus = TurnStatus.COMPLETED,
    usage: Usage | None = None,
    error: TurnError | None = None,
) -> TurnOutcome:
    return TurnOutcome(status, written, usage, error)


def source(begun: BegunTurn, ordinal: int, *spans: tuple[int, int], excerpt: str = "An excerpt.") -> Source:
    return Source(
        message_id=begun.answer.id,
        ordinal=ordinal,
        agent="help",
        document_id=f"documents/{ordinal}",
        title="A title › its section",
        url=f"https://help.example/{ordinal}#part",
        excerpt=excerpt,
        score=0.1 + ordinal / 3,
        spans=tuple(Span(start, end) for start, end in spans),
        document_spans=tuple(Span(start + 1_000, end + 1_000) if start else None for start, end in spans),
        flagged=ordinal == 2,
    )
