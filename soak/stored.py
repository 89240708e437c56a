"""What is there in the end: the rows by SQL, and what the API tells of them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp
from sqlalchemy import NullPool, func, select
from sqlalchemy.ext.asyncio import create_async_engine

from db.tables import MessageRow, TurnRow
from domain.model import Role, TurnStatus
from soak.observations import Seen, StoredTurn
from soak.transports import Wanted, call, rest

LOOK_EVERY = 0.1
ENDED = (TurnStatus.COMPLETED, TurnStatus.STOPPED, TurnStatus.FAILED, TurnStatus.INTERRUPTED)
AT_ONCE = 8
"""Requests."""


async def until_all_ended(url: str, within: float) -> bool:
    """Whether every turn has ended, waiting for it as long as `within` seconds."""
    engine = create_async_engine(url, poolclass=NullPool)
    open_turns = select(func.count()).select_from(TurnRow).where(TurnRow.status.not_in(ENDED))
    give_up_at = time.monotonic() + within
    try:
        while True:
            async with engine.connect() as connection:
                if await connection.scalar(open_turns) == 0:
                    return True
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await engine.dispose()


async def stored_turns(url: str) -> list[StoredTurn]:
    """Every turn of the database, without replays."""
    engine = create_async_engine(url, poolclass=NullPool)
    turns = select(
        TurnRow.id, TurnRow.chat_id, TurnRow.client_message_id, TurnRow.status, TurnRow.lease_until, TurnRow.ended_at
    ).order_by(TurnRow.id)
    messages = select(MessageRow.turn_id, MessageRow.role, MessageRow.text).order_by(MessageRow.id)
    said: dict[tuple[int, Role], list[str]] = defaultdict(list)
    try:
        async with engine.connect() as connection:
            for turn_id, role, text in await connection.execute(messages):
                said[turn_id, role].append(text)
            return [
                StoredTurn(
                    id=row.id,
                    chat_id=row.chat_id,
                    key=row.client_message_id,
                    status=str(row.status),
                    leased=row.lease_until is not None,
                    questions=tuple(said[row.id, Role.USER]),
                    answers=tuple(said[row.id, Role.ASSISTANT]),
                    ended_at=row.ended_at.timestamp() if row.ended_at is not None else None,
                )
                for row in await connection.execute(turns)
            ]
    finally:
        await engine.dispose()


class Told:
    """Asks the API for what it has, past the proxies."""

    def __init__(self, http: aiohttp.ClientSession, base: str, token_of_chat: dict[int, str]) -> None:
        self._http = http
        self._base = base
        self._tokens = token_of_chat
        self._free = asyncio.Semaphore(AT_ONCE)

    async def replays(self, turns: Sequence[StoredTurn]) -> list[StoredTurn]:
        return await asyncio.gather(*(self._replayed(turn) for turn in turns))

    async def lists(self) -> dict[int, list[tuple[int, str, str]]]:
        found = await asyncio.gather(*(self._listed(chat_id) for chat_id in self._tokens))
        return dict(zip(self._tokens, found, strict=True))

    async def _replayed(self, turn: StoredTurn) -> StoredTurn:
        if turn.chat_id not in self._tokens:
            return turn
        async with self._free:
            wanted = Wanted(self._tokens[turn.chat_id], turn.chat_id, "", "", turn.id, 0)
            seen: list[Seen] = [event async for event in rest(self._http, self._base, wanted)]
            return replace(turn, replay=tuple(seen))

    async def _listed(self, chat_id: int) -> list[tuple[int, str, str]]:
        async with self._free:
            found: list[tuple[int, str, str]] = []
            parameters: dict[str, Any] = {"limit": 100}
            while True:
                url = f"{self._base}/api/v1/chat/{chat_id}/messages"
                status, page = await call(self._http, "GET", url, self._tokens[chat_id], params=parameters)
                if status != 200:
                    raise RuntimeError(f"{url}: {status} {page}")
                found += [(item["turn_id"], item["role"], item["text"]) for item in page["items"]]
                if page["next_cursor"] is None:
                    return found
                parameters["cursor"] = page["next_cursor"]
