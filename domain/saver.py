"""Saves what the running turns of a process have written, all of them in one transaction, and keeps their leases."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from domain.errors import DatabaseUnavailable
from domain.ports import TurnStore
from domain.records import TurnProgress

SAVE_WITHIN = 0.5
"""Seconds that what is stored may be behind what was sent: what a crash may cost at most."""
LEAST_PAUSE = 0.1
"""Seconds without a save between two, however long they take."""

_log = structlog.get_logger()


class Growing(Protocol):
    """A turn in the making, as the saver sees it."""

    def unsaved(self) -> TurnProgress | None:
        """What was written, when it is more than what is stored."""
        ...

    def saved(self) -> None:
        """What `unsaved` returned last is stored now."""
        ...


@dataclass(slots=True)
class _Kept:
    growing: Growing
    lost: Callable[[], None]
    renewed: float
    """When the save began that renewed the lease, by the event loop's clock."""


class TurnSaver:
    """One task, which lives while there are turns to save."""

    def __init__(self, store: TurnStore, lease: timedelta) -> None:
        self._store = store
        self._lease = lease
        self._kept: dict[int, _Kept] = {}
        self._refused: set[int] = set()
        """Turns that the store could not save: they are tried alone, so that the others are saved."""
        self._task: asyncio.Task[None] | None = None

    def keep(self, turn_id: int, growing: Growing, lost: Callable[[], None]) -> None:
        """Saves the turn until it is forgotten, or `lost`, which is called when it is not ours any more."""
        self._kept[turn_id] = _Kept(growing, lost, asyncio.get_running_loop().time())
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._save_regularly(), name="save turns")

    def forget(self, turn_id: int) -> None:
        """A save that is under way goes on; its outcome for this turn counts for nothing."""
        self._kept.pop(turn_id, None)
        self._refused.discard(turn_id)

    async def close(self, within: float | None = None) -> None:
        """Ends saving, when the save that is under way has ended, or after `within` seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=within)

    async def _save_regularly(self) -> None:
        """What comes just after a save began is written by the next one: the pause leaves room for the time that both
        take, so that it is stored in time."""
        clock = asyncio.get_running_loop().time
        took = 0.0
        while self._kept:
            await asyncio.sleep(max(SAVE_WITHIN - 2 * took, LEAST_PAUSE))
            began = clock()
            try:
                await self._save(began)
            except DatabaseUnavailable:
                _log.warning("progress_not_saved", turns=len(self._kept))
            except Exception as failure:  # whatever it is: the turns run on, and so must this
                _log.error("progress_not_saved", turns=len(self._kept), exc_info=failure)
            took = clock() - began

    async def _save(self, now: float) -> None:
        """Raises DatabaseUnavailable; what was not saved is offered again the next time."""
        batch = self._batch(now)
        alone = [turn_id for turn_id in batch if turn_id in self._refused]
        together = {turn_id: progress for turn_id, progress in batch.items() if turn_id not in self._refused}
        try:
            await self._write(together, now)
        except DatabaseUnavailable:
            raise
        except Exception as failure:
            _log.warning("turns_not_saved_together", turn_ids=list(together), reason=type(failure).__name__)
            alone = list(batch)
        for turn_id in alone:
            await self._write_alone(turn_id, batch[turn_id], now)

    def _batch(self, now: float) -> dict[int, TurnProgress | None]:
        """The turns to write, with what they have written: None where only the lease is due."""
        due = now - self._lease.total_seconds() / 3
        unsaved = {turn_id: kept.growing.unsaved() for turn_id, kept in self._kept.items()}
        return {
            turn_id: progress
            for turn_id, progress in unsaved.items()
            if progress is not None or self._kept[turn_id].renewed <= due
        }

    async def _write_alone(self, turn_id: int, progress: TurnProgress | None, now: float) -> None:
        try:
            await self._write({turn_id: progress}, now)
        except DatabaseUnavailable:
            raise
        except Exception as failure:
            if turn_id in self._kept and turn_id not in self._refused:
                self._refused.add(turn_id)
                _log.error("turn_not_saved", turn_id=turn_id, exc_info=failure)
        else:
            self._refused.discard(turn_id)

    async def _write(self, batch: Mapping[int, TurnProgress | None], now: float) -> None:
        if not batch:
            return
        lost = await self._store.save_progress(batch, self._lease)
        for turn_id, progress in batch.items():
            kept = self._kept.get(turn_id)
            if kept is None:  # it ended meanwhile
                continue
            if turn_id in lost:
                self.forget(turn_id)
                kept.lost()
                continue
            kept.renewed = now
            if progress is not None:
                kept.growing.saved()
