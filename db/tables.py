"""The tables. Rows never leave db/: db/rows.py makes the domain's frozen data of them.

    users ─< logins ─< refresh_tokens
    users ─< chat_sessions ─< turns ─< messages ─< sources         (messages also point to their chat)
             chat_sessions ─  chat_summaries

Deleting a row deletes what hangs on it. There are no relationships: what is loaded together is joined explicitly.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import JSON, Double, Enum, ForeignKey, Index, MetaData, String, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.columns import Id, Key, Prose, UTCDateTime, Word
from domain.errors import ErrorCode
from domain.model import Rating, Role, TurnStatus

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}
SQLITE_NEVER_REUSES_IDS = {"sqlite_autoincrement": True}
"""As the others never do: a cursor or a turn's log that outlives its row must not find another."""
MYSQL_COMPARES_EXACTLY = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
NUMBERED = {**SQLITE_NEVER_REUSES_IDS, **MYSQL_COMPARES_EXACTLY}


class Row(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class UserRow(Row):
    """`username_key` and `email_key` are what must be unique: see db.rows.same_for_people."""

    __tablename__ = "users"
    __table_args__ = (NUMBERED,)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(320))
    username_key: Mapped[str] = mapped_column(Key(640), unique=True)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(Key(640), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LoginRow(Row):
    __tablename__ = "logins"
    __table_args__ = (MYSQL_COMPARES_EXACTLY,)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RefreshTokenRow(Row):
    """`digest` is the token's SHA-256 in hexadecimal: the table holds nothing that could be used."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (MYSQL_COMPARES_EXACTLY,)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    login_id: Mapped[str] = mapped_column(String(64), ForeignKey("logins.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    spent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ChatRow(Row):
    """`title_key` is the title as search compares it. `titled` is False until the user or the first message names
    the chat. The index is read backwards: the most recently active first."""

    __tablename__ = "chat_sessions"
    __table_args__ = (Index(None, "user_id", "updated_at", "id"), NUMBERED)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(Prose)
    title_key: Mapped[str] = mapped_column(Prose)
    titled: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TurnRow(Row):
    """`running_chat_id` is the chat's id while RUNNING, else NULL: its uniqueness is the chat's single running slot.
    `open_chat_id` is that while QUEUED, too: its index finds who runs and waits in a chat.
    `lease_until`, by the database's clock, is how long the turn's worker need not be heard of; it is NULL once the turn
    has ended, so its index leads to the few that have not."""

    __tablename__ = "turns"
    __table_args__ = (UniqueConstraint("chat_id", "client_message_id"), NUMBERED)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    chat_id: Mapped[int] = mapped_column(Id, ForeignKey("chat_sessions.id", ondelete="CASCADE"))
    running_chat_id: Mapped[int | None] = mapped_column(Id, unique=True)
    open_chat_id: Mapped[int | None] = mapped_column(Id, index=True)
    client_message_id: Mapped[str | None] = mapped_column(Key(128))
    agents: Mapped[list[str]] = mapped_column(JSON)
    status: Mapped[TurnStatus] = mapped_column(Enum(TurnStatus, native_enum=False, length=16))
    standalone_question: Mapped[str | None] = mapped_column(Prose)
    routes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    timeline: Mapped[str] = mapped_column(Prose)
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    error_code: Mapped[ErrorCode | None] = mapped_column(Word(ErrorCode, 32))
    error_message: Mapped[str | None] = mapped_column(Prose)
    error_retryable: Mapped[bool | None]
    error_retry_after: Mapped[int | None]
    model: Mapped[str | None] = mapped_column(Prose)
    groundedness: Mapped[float | None] = mapped_column(Double)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    first_token_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class MessageRow(Row):
    """`parent_id` is the message that this one was written after: for an answer, its question. It is no foreign key,
    since MySQL ends a chain of cascades after fifteen rows; messages go with their chat. `first_turn_id` is the turn
    that first asked the question: it orders a conversation, and versions of one message share it, of which all but the
    newest are `superseded`. See docs/decisions/0008."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("turn_id", "role"), Index(None, "chat_id", "first_turn_id", "id"), NUMBERED)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    chat_id: Mapped[int] = mapped_column(Id, ForeignKey("chat_sessions.id", ondelete="CASCADE"))
    turn_id: Mapped[int] = mapped_column(Id, ForeignKey("turns.id", ondelete="CASCADE"))
    first_turn_id: Mapped[int] = mapped_column(Id)
    parent_id: Mapped[int | None] = mapped_column(Id)
    superseded: Mapped[bool] = mapped_column(default=False)
    role: Mapped[Role] = mapped_column(Enum(Role, native_enum=False, length=16))
    text: Mapped[str] = mapped_column(Prose)
    rating: Mapped[Rating] = mapped_column(Enum(Rating, native_enum=False, length=16))
    rating_comment: Mapped[str | None] = mapped_column(Prose)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class SourceRow(Row):
    """`spans` are quadruples: where the answer cites it, and where the document says so; pairs where only the first is
    known. `flagged` is NULL where a release of before 2026-12 wrote it."""

    __tablename__ = "sources"
    __table_args__ = (MYSQL_COMPARES_EXACTLY,)

    message_id: Mapped[int] = mapped_column(
        Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    agent: Mapped[str] = mapped_column(Prose)
    document_id: Mapped[str] = mapped_column(Prose)
    title: Mapped[str] = mapped_column(Prose)
    url: Mapped[str | None] = mapped_column(Prose)
    excerpt: Mapped[str] = mapped_column(Prose)
    score: Mapped[float] = mapped_column(Double)
    spans: Mapped[list[list[int]]] = mapped_column(JSON)
    flagged: Mapped[bool | None]


class SummaryRow(Row):
    """What the workflow noted of a chat's messages up to one of them, which is no foreign key: messages go with their
    chat. It can be thrown away at any time, and is made anew of the messages. `version` says who can read `notes`."""

    __tablename__ = "chat_summaries"
    __table_args__ = (MYSQL_COMPARES_EXACTLY,)

    chat_id: Mapped[int] = mapped_column(
        Id, ForeignKey("chat_sessions.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    up_to_message_id: Mapped[int] = mapped_column(Id)
    version: Mapped[int]
    notes: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)


USERS, LOGINS, CHATS, TURNS, MESSAGES, SOURCES, SUMMARIES = (
    cast("Table", row.__table__) for row in (UserRow, LoginRow, ChatRow, TurnRow, MessageRow, SourceRow, SummaryRow)
)
"""For the statements that every turn runs: they need no objects."""
