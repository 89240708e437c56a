"""Keeps the notes of long chats up to date, and reads them: a turn reads as much of a chat at 300 messages as at 40.

A summary covers the messages from a chat's beginning to one that left the window. It is made of the messages table alone,
and only saves reading them again. Turns note which chats have fallen behind; the notes are taken after the answer, so
that nobody waits for them, and not by every turn.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from domain.agents.notes import NO_NOTES, VERSION, Notes, Picked
from domain.agents.state import Line
from domain.errors import DatabaseUnavailable
from domain.model import Message
from domain.ports import SummaryStore
from domain.records import StoredSummary

WINDOW = 20
"""Messages recalled as they are: a turn's cost does not grow with its chat."""
BEHIND = 10
"""Messages that left the window before notes are taken of them."""
READ = WINDOW + BEHIND + 2
"""Messages read: those of the window, and those before that the summary does not cover yet."""
PAGE, PAGES = 50, 4
"""Messages that are read at once, and pages that one turn takes notes of at most: old chats catch up in some turns."""

_MARKERS = re.compile(r"\s?\[\d{1,3}\]")
_log = structlog.get_logger()


class Picker(Protocol):
    """Finds what is worth keeping in lines of a conversation."""

    async def pick(self, lines: Sequence[Line], message_id: int) -> Picked | None:
        """None leaves it to the embedded method. `message_id` is the last line's, for the log. Raises nothing of a
        model's."""
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """Notes of a chat up to one of its messages; None when nothing of it is covered."""

    up_to_message_id: int | None = None
    notes: Notes = NO_NOTES

    @classmethod
    def of(cls, stored: StoredSummary | None) -> "Summary":
        if stored is None or stored.version != VERSION:
            return cls()
        try:
            return cls(stored.up_to_message_id, Notes.read(stored.notes))
        except ValueError:
            return cls()

    def rest_of(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Those of a chat's messages, in order, that are not covered."""
        ids = [message.id for message in messages]
        return messages[ids.index(self.up_to_message_id) + 1 :] if self.up_to_message_id in ids else messages


NO_SUMMARY = Summary()


class Summaries:
    """Belongs to one event loop. Many workers may take notes of one chat at a time: one of them stores its own."""

    def __init__(self, store: SummaryStore, picker: Picker | None = None) -> None:
        self._store = store
        self._picker = picker
        self._due: dict[int, int] = {}
        """Chats that fell behind, and the message before which they did."""
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def read(self, chat_id: int) -> Summary:
        return Summary.of(await self._store.get_summary(chat_id))

    def fell_behind(self, chat_id: int, before_id: int) -> None:
        """Notes are due of the messages before that one."""
        self._due[chat_id] = before_id

    def catch_up(self, chat_id: int) -> None:
        """Takes the notes that are due, in the background."""
        before_id = self._due.pop(chat_id, None)
        if before_id is not None and chat_id not in self._tasks:
            task = asyncio.create_task(self._catch_up(chat_id, before_id), name=f"notes of chat {chat_id}")
            self._tasks[chat_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(chat_id, None))

    async def settled(self) -> None:
        """Returns when all notes are taken that turns asked for."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        """Gives up what is under way: another turn takes those notes."""
        for task in self._tasks.values():
            task.cancel()
        await self.settled()

    async def _catch_up(self, chat_id: int, before_id: int) -> None:
        try:
            for _ in range(PAGES):
                if not await self._take_page(chat_id, before_id):
                    return
        except DatabaseUnavailable as failure:
            _log.warning("notes_not_taken", chat_id=chat_id, code=failure.code)
        except Exception as failure:  # the answer stands, whatever it is
            _log.error("notes_not_taken", chat_id=chat_id, exc_info=failure)

    async def _take_page(self, chat_id: int, before_id: int) -> bool:
        """Whether there may be more."""
        stored = await self._store.get_summary(chat_id)
        known = Summary.of(stored)
        messages = await self._store.messages_between(chat_id, known.up_to_message_id, before_id, PAGE)
        if not messages:
            return False
        lines = lines_of(messages)
        picked = await self._picker.pick(lines, messages[-1].id) if self._picker is not None else None
        notes = known.notes.after(lines, picked)
        before = stored if known.up_to_message_id is not None else None
        new = StoredSummary(messages[-1].id, VERSION, notes.written())
        taken = await self._store.save_summary(chat_id, new, before, [message.id for message in messages])
        return taken and len(messages) == PAGE


def lines_of(messages: Sequence[Message]) -> tuple[Line, ...]:
    """What is remembered of these: no markers of sources, and nothing of an answer that said nothing."""
    return tuple(Line(m.role, _MARKERS.sub("", m.text), m.created_at) for m in messages if m.text)
