"""The turns that wait in their chats, and begin one after the other."""

import asyncio

import structlog

from domain.agents.catalog import AgentCatalog
from domain.errors import DeskError
from domain.knowledge import Reader
from domain.ports import QueueStore, TurnLog
from domain.records import PromotedTurn
from domain.runner import TurnRunner
from domain.shielding import to_its_end

LOOK_AGAIN = 0.5
"""Seconds until the next look, where nothing tells that the turn in front has ended."""

_log = structlog.get_logger()


class TurnQueue:
    """Starts each turn that waits when those before it have ended. The database decides whose time has come, so it
    does no harm that several workers may wait for one turn."""

    def __init__(self, store: QueueStore, log: TurnLog, runner: TurnRunner, catalog: AgentCatalog) -> None:
        self._store = store
        self._turn_log = log
        self._runner = runner
        self._catalog = catalog
        self._waiting: dict[int, asyncio.Task[None]] = {}

    def add(self, turn_id: int) -> None:
        """For a turn that is QUEUED. Once is enough."""
        if turn_id not in self._waiting:
            task = asyncio.create_task(self._wait(turn_id), name=f"turn {turn_id} waits")
            self._waiting[turn_id] = task
            task.add_done_callback(lambda _: self._waiting.pop(turn_id, None))

    async def cancel(self, turn_id: int) -> None:
        """Ends a turn that still waits."""
        await self._store.cancel_queued(turn_id)

    async def take_up(self) -> None:
        """Ends the turns that ran on workers which died, and adds those that waited there. Raises
        DatabaseUnavailable."""
        interrupted = await self._store.interrupt_expired()
        if interrupted:
            _log.warning("turns_interrupted", turn_ids=interrupted)
        for turn_id in await self._store.forgotten_turns():
            self.add(turn_id)

    async def close(self) -> None:
        """What waits is taken up by another worker, or after the restart."""
        tasks = list(self._waiting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, turn_id: int) -> None:
        while not self._runner.draining:
            try:
                ahead = await to_its_end(self._start(turn_id))
            except DeskError as failure:
                _log.warning("queued_turn_not_started", turn_id=turn_id, code=failure.code)
                await asyncio.sleep(LOOK_AGAIN)
                continue
            if ahead is None:
                return
            await self._until_ended(ahead)

    async def _start(self, turn_id: int) -> int | None:
        """The turn that is still in front."""
        promoted = await self._store.start_queued(turn_id, self._runner.limits.lease)
        if not isinstance(promoted, PromotedTurn):
            return promoted
        visible = self._catalog.visible_to(promoted.username)
        await self._runner.start(promoted.begun, visible, Reader(promoted.username))
        return None

    async def _until_ended(self, turn_id: int) -> None:
        reader = self._turn_log.reader(turn_id, 0)
        try:
            while reader is not None and await reader.read():
                pass
        except DeskError:
            reader = None  # it is not in this log
        if reader is None:
            await asyncio.sleep(LOOK_AGAIN)
