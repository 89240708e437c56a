"""What the domain needs from outside, as small Protocols. `db/` and `providers/` implement them; tests/contracts/
holds one suite per port, run over every implementation.

Stores: one method is one short transaction. A method that takes `user_id` sees only that user's rows: somebody
else's id and a missing id have the same outcome. Any store method may raise DatabaseUnavailable.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.errors import DeskError
from domain.events import TurnEvent
from domain.knowledge import Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.model import ChatSession, Message, Rating, Source, Turn, User
from domain.pages import Page, PageRequest
from domain.records import (
    BegunTurn,
    Credentials,
    PromotedTurn,
    RefreshedLogin,
    StoredSummary,
    StoredTurn,
    TurnOutcome,
    TurnProgress,
    TurnRequest,
)

# ---------------------------------------------------------------- accounts


class AccountStore(Protocol):
    """Users. Names and addresses are unique regardless of case."""

    async def create_user(self, username: str, email: str, password_hash: str) -> User:
        """Raises UsernameTaken or EmailTaken (the username first when both are)."""
        ...

    async def find_credentials(self, username: str) -> Credentials | None: ...

    async def get_user(self, user_id: int) -> User | None: ...

    async def replace_password_hash(self, user_id: int, password_hash: str) -> None:
        """For a hash that was made with older parameters."""
        ...


class EndedLogins(Protocol):
    """Which logins are over, for those who were not told."""

    async def ended(self, login_ids: Sequence[str]) -> set[str]:
        """Those of them that were revoked or are not there, in one statement."""
        ...


class LoginStore(EndedLogins, Protocol):
    """Logins and their families of refresh tokens, kept as SHA-256 digests (hex)."""

    async def begin_login(self, user_id: int, login_id: str, refresh_digest: str, expires_at: datetime) -> None: ...

    async def rotate_refresh(self, spent_digest: str, next_digest: str, expires_at: datetime) -> RefreshedLogin | None:
        """Spends one refresh token and stores the next. None when it is unknown, expired or its login is revoked.
        One that was spent before revokes its whole login, and is None too."""
        ...

    async def is_active(self, user_id: int, login_id: str) -> bool: ...

    async def revoke_login(self, user_id: int, login_id: str) -> None: ...

    async def revoke_all(self, user_id: int) -> list[str]:
        """Returns the ids of the logins that were active until now."""
        ...

    async def login_of(self, refresh_digest: str) -> str | None:
        """The login that a refresh token (spent or not) belongs to."""
        ...


# ---------------------------------------------------------------- chats


class ChatStore(Protocol):
    """Chat sessions, the most recently active first."""

    async def create_chat(self, user_id: int, title: str) -> ChatSession: ...

    async def get_chats(self, user_id: int, chat_ids: Sequence[int]) -> dict[int, ChatSession]:
        """Those that exist and are the user's."""
        ...

    async def list_chats(self, user_id: int, page: PageRequest, search: str | None = None) -> Page[ChatSession]:
        """`search` matches titles, case-insensitively, anywhere; its % and _ are ordinary characters."""
        ...

    async def rename_chat(self, user_id: int, chat_id: int, title: str) -> ChatSession | None: ...

    async def delete_chat(self, user_id: int, chat_id: int) -> bool:
        """Deletes its messages, turns and sources with it. False when there is no such chat."""
        ...


class History(Protocol):
    """The workflow's memory of a chat."""

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        """The last `limit` messages that stand before the message `before_id`, oldest first, each in its newest
        version, without sources."""
        ...


class SummaryStore(Protocol):
    """One summary for each chat, which is gone with the chat, and with what it was made of: whoever answers anew a
    question that it covers removes it."""

    async def get_summary(self, chat_id: int) -> StoredSummary | None: ...

    async def messages_between(self, chat_id: int, after_id: int | None, before_id: int, limit: int) -> list[Message]:
        """The first messages, at most `limit`, of the questions that were asked after the one to which the message
        `after_id` belongs (None: from the beginning) and before that of `before_id`: each question with its newest
        answer, without sources. None from where an answer is still to come."""
        ...

    async def save_summary(
        self, chat_id: int, summary: StoredSummary, before: StoredSummary | None, covered: Sequence[int]
    ) -> bool:
        """Replaces `before` (None: there is none that can be read). `covered` are the messages that were added to it.
        False, and nothing changed, when another was stored meanwhile, one of the messages was superseded, or the chat
        is gone."""
        ...


class MessageStore(History, Protocol):
    """Messages in the order of their conversation, oldest first."""

    async def list_messages(self, user_id: int, chat_ids: Sequence[int], page: PageRequest) -> dict[int, Page[Message]]:
        """The same page of each chat that exists and is the user's, in one statement. Each message in its newest
        version, without sources. Raises BadUserInput for a cursor of another list."""
        ...

    async def get_versions(self, user_id: int, message_ids: Sequence[int]) -> dict[int, tuple[Message, ...]]:
        """For each message that exists and is the user's, all its versions, oldest first, itself among them, without
        sources."""
        ...

    async def get_messages(self, user_id: int, message_ids: Sequence[int]) -> dict[int, Message]:
        """Those that exist and are the user's, without sources."""
        ...

    async def get_sources(self, user_id: int, message_ids: Sequence[int]) -> dict[int, tuple[Source, ...]]:
        """An entry for each message that exists and is the user's, in ordinal order."""
        ...

    async def rate_message(self, user_id: int, message_id: int, rating: Rating, comment: str | None) -> Message | None:
        """Only answers are rated: None also for a user's own message."""
        ...


# ---------------------------------------------------------------- turns


class TurnStore(Protocol):
    """Turns. The database itself holds (chat, client message id) and one running turn per chat to be unique."""

    async def begin_turn(
        self, user_id: int, chat_id: int, text: str, agents: Sequence[str], title: str, request: TurnRequest
    ) -> BegunTurn:
        """Claims the key and the chat's running slot, and stores the user message, the empty answer and the turn, in
        one transaction; the chat's `updated_at` moves, and `title` names a chat that has no title of its own yet.
        Raises NotFound, IdempotencyMismatch (same key, other text), what `admit` raises, or ChatBusy, in that order;
        a running turn whose lease ran out does not count as busy: it becomes INTERRUPTED here."""
        ...

    async def begin_again(self, user_id: int, message_id: int, request: TurnRequest) -> BegunTurn:
        """As `begin_turn`, for another answer to a question that was asked before, of the same agents. `message_id` is
        the question or any of its answers. The new answer is the newest version and takes the place of the others."""
        ...

    async def save_progress(self, batch: Mapping[int, TurnProgress | None], lease: timedelta) -> set[int]:
        """For each turn of the batch, by its id, renews the lease and, unless None, replaces what was written. Returns
        those that are not RUNNING any more (or are gone): nothing of theirs changed, and their workers must end them
        without another write. All is saved or, when it raises, nothing."""
        ...

    async def finish_turn(self, turn_id: int, outcome: TurnOutcome) -> StoredTurn | None:
        """Stores the end and frees the chat. None, and nothing changed, when it is not RUNNING any more."""
        ...

    async def get_turns(self, user_id: int, turn_ids: Sequence[int]) -> dict[int, Turn]: ...

    async def load_turn(self, user_id: int, turn_id: int) -> StoredTurn | None: ...


class QueueStore(Protocol):
    """Turns that wait for their time in their chat, and those that nobody looks after any more."""

    async def start_queued(self, turn_id: int, lease: timedelta) -> PromotedTurn | int | None:
        """Gives the chat's running slot to a QUEUED turn. The id of the turn that it still waits for, when there is
        one; None when it is not QUEUED any more."""
        ...

    async def cancel_queued(self, turn_id: int) -> bool:
        """Ends a QUEUED turn as STOPPED. False, and nothing changed, when it is not QUEUED any more."""
        ...

    async def forgotten_turns(self) -> list[int]:
        """QUEUED turns, oldest first, that stand first in their chat, whose lease ran out: nobody may be waiting for
        their time to come."""
        ...

    async def interrupt_expired(self) -> list[int]:
        """Ends every RUNNING turn whose lease ran out, by the database's clock, as INTERRUPTED with its text kept."""
        ...


# ---------------------------------------------------------------- the turn log and signals


class LogReader(Protocol):
    """One follower's place in a turn's log."""

    async def read(self) -> Sequence[TurnEvent]:
        """Waits for the next events and returns some that are there; empty once the turn's last event was read.
        Raises what `interrupt` was given."""
        ...

    def interrupt(self, error: DeskError) -> None:
        """Ends this follower: its pending or next `read` raises `error`. Stops nothing else."""
        ...


class TurnLog(Protocol):
    """The ordered events of turns that run, or ended a short while ago. Appending never waits for a follower."""

    async def open(self, turn_id: int) -> None: ...

    def append(self, turn_id: int, event: TurnEvent) -> None:
        """Events come with their `seq`, in order. A terminal event closes the log, which is kept a while for stragglers."""
        ...

    def drop(self, turn_id: int, error: DeskError) -> None:
        """Forgets a turn that can have no terminal event; its followers' `read` raises `error`."""
        ...

    def reader(self, turn_id: int, after: int) -> LogReader | None:
        """From the event after `seq` = `after`. None when this log does not hold the turn: read it from the store.
        A log outside this process finds that out, or loses the turn, later: then `read` raises NotFound after what
        it had, and the store goes on from there."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StopRequested:
    turn_id: int


@dataclass(frozen=True, slots=True)
class LoginsEnded:
    login_ids: tuple[str, ...]


Signal = StopRequested | LoginsEnded


class Signals(Protocol):
    """Short messages to every worker, this one included. Handlers are quick and never raise."""

    async def publish(self, signal: Signal) -> None: ...

    def subscribe(self, handler: Callable[[Signal], None]) -> None: ...


# ---------------------------------------------------------------- knowledge


class Retriever(Protocol):
    """A search engine that holds each agent's knowledge base. Any method may raise SearchUnavailable.

    A document that has an audience does not exist for who is not in it: it is not found, and neither the statistics nor,
    where the engine can help it, the scores of others change by it."""

    @property
    def name(self) -> str:
        """For the banner and /readyz, such as `SQLite FTS5`."""
        ...

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        """Makes the agent's index hold exactly these documents; work is done only for those whose digest changed.
        `progress` is called with the number of documents dealt with, as they are."""
        ...

    def search(self, agent: str, question: str, limit: int, reader: Reader) -> Awaitable[list[Passage]]:
        """The best passages for a question in natural language, best first. Anything can be asked: no query syntax."""
        ...

    def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> Awaitable[TermStatistics | None]:
        """For weighing words by rarity, among what the reader may read. None when the engine cannot say."""
        ...

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        """All chunks of a document, in order; none of one that is not there for this reader."""
        ...

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        """The cosine of the question to each of these texts, which are often the same, by the vectors that passages are
        compared by. None when the engine has no vectors of its own."""
        ...

    async def check(self) -> None:
        """Raises SearchUnavailable unless a search would work now."""
        ...


# ---------------------------------------------------------------- limits


class RateLimiter(Protocol):
    """Counts what a key did in a moving window."""

    async def hit(self, rule: str, key: str) -> None:
        """Counts one use of `rule` (a name from settings, such as `login`) by `key`. Raises RateLimited past the limit."""
        ...


class PasswordHasher(Protocol):
    """Slow on purpose, so it runs beside the event loop, a bounded number at a time."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """With None (no such user) it takes the same time and is False."""
        ...

    def is_outdated(self, password_hash: str) -> bool: ...
