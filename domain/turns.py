"""Turns: sending a message, following its answer from any cursor, stopping it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any

from domain.agents.catalog import AgentCatalog
from domain.errors import BadUserInput, DeskError, NotFound
from domain.events import TurnEvent
from domain.inputs import Inputs
from domain.model import Turn, TurnStatus, Viewer
from domain.ports import LogReader, RateLimiter, Signals, StopRequested, TurnLog, TurnStore
from domain.replay import replay
from domain.runner import TurnRunner
from domain.streams import OpenStreams

POLL_EVERY = 0.5
"""Seconds between looks at a turn that runs, but not in this log."""
STOP_AGAIN_AFTER = 1.0
"""Seconds after which another worker is asked again to stop a turn that runs on."""
STOP_WITHIN = 10.0
TITLE_LENGTH = 60


class Turns:
    """What a viewer can do with turns. Somebody else's turn and a missing one are both NotFound."""

    def __init__(
        self,
        store: TurnStore,
        log: TurnLog,
        signals: Signals,
        runner: TurnRunner,
        catalog: AgentCatalog,
        streams: OpenStreams,
        limiter: RateLimiter,
    ) -> None:
        self._store = store
        self._log = log
        self._signals = signals
        self._runner = runner
        self._catalog = catalog
        self._streams = streams
        self._limiter = limiter

    async def send(
        self,
        viewer: Viewer,
        chat_id: int,
        text: str,
        client_message_id: str | None = None,
        agents: Sequence[str] | None = None,
    ) -> Turn:
        """Stores the message and begins the turn that answers it; with a key that was used before, returns the turn
        that it began. Raises BadUserInput, NotFound, IdempotencyMismatch, ChatBusy or RateLimited."""
        inputs = Inputs()
        inputs.message("text", text)
        inputs.client_message_id("client_message_id", client_message_id)
        inputs.check()
        visible = self._catalog.visible_to(viewer)
        chosen = self._chosen(agents or (), {agent.name for agent in visible})
        await self._limiter.hit("send", str(viewer.user_id))

        async def begin() -> Turn:
            begun = await self._store.begin_turn(
                viewer.user_id, chat_id, text, client_message_id, chosen, _title(text), self._runner.limits.lease
            )
            if begun.created:
                await self._runner.start(begun, visible, chosen)
            return begun.turn

        return await _to_its_end(begin())

    async def follow(self, viewer: Viewer, turn_id: int, after: int = 0) -> AsyncGenerator[Sequence[TurnEvent], None]:
        """The events with seq > `after` in batches as they come, to the turn's last. Raises NotFound before the
        first, and Unauthenticated when the viewer's login ends or expires. Leaving stops nothing."""
        if after < 0:
            raise BadUserInput(fields={"after": "must not be negative"})
        turn = await self.get(viewer, turn_id)
        reader = self._log.reader(turn_id, after) if turn.status is TurnStatus.RUNNING else None
        if reader is not None:
            async with aclosing(self._read(viewer, reader)) as batches:
                try:
                    async for batch in batches:
                        after = batch[-1].seq
                        yield batch
                    return
                except NotFound:
                    # The log does not hold the turn, or not any more: its chat was deleted, its lease was lost to
                    # another worker, or it runs on another worker and what the two share is away.
                    pass
        async with aclosing(self._read(viewer, _StoredReader(self._store, viewer, turn_id, after))) as batches:
            async for batch in batches:
                yield batch

    async def _read(self, viewer: Viewer, reader: LogReader) -> AsyncGenerator[Sequence[TurnEvent], None]:
        with self._streams.watch(viewer, reader.interrupt):
            while batch := await reader.read():
                yield batch

    async def get(self, viewer: Viewer, turn_id: int) -> Turn:
        turn = (await self._store.get_turns(viewer.user_id, [turn_id])).get(turn_id)
        if turn is None:
            raise NotFound("There is no such turn.")
        return turn

    async def get_batch(self, viewer: Viewer, turn_ids: Sequence[int]) -> dict[int, Turn]:
        return await self._store.get_turns(viewer.user_id, turn_ids)

    async def stop(self, viewer: Viewer, turn_id: int) -> Turn:
        """Ends generation and returns the ended turn; one that has ended already is returned as it is. A turn whose
        worker cannot be reached is still RUNNING after STOP_WITHIN seconds, and is returned so."""
        turn = await self.get(viewer, turn_id)
        give_up_at = asyncio.get_running_loop().time() + STOP_WITHIN
        while turn.status is TurnStatus.RUNNING and asyncio.get_running_loop().time() < give_up_at:
            await self._signals.publish(StopRequested(turn_id))
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_AGAIN_AFTER), aclosing(self.follow(viewer, turn_id)) as batches:
                    async for _ in batches:
                        pass
            turn = await self.get(viewer, turn_id)
        return turn

    def _chosen(self, agents: Sequence[str], visible: set[str]) -> tuple[str, ...]:
        unknown = [name for name in agents if name not in visible]
        if unknown:
            known = ", ".join(sorted(visible))
            raise BadUserInput(fields={"agents": f"there is no agent {unknown[0][:64]!r}; there are {known}"})
        return tuple(dict.fromkeys(agents))


class _StoredReader(LogReader):
    """Follows a turn that this process's log does not hold: replayed from the store, which it asks again while the
    turn still runs elsewhere."""

    def __init__(self, store: TurnStore, viewer: Viewer, turn_id: int, after: int) -> None:
        self._store = store
        self._viewer = viewer
        self._turn_id = turn_id
        self._after = after
        self._ended = False
        self._interrupted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> Sequence[TurnEvent]:
        while not self._ended:
            stored = await self._store.load_turn(self._viewer.user_id, self._turn_id)
            if stored is None:
                raise NotFound("There is no such turn.")
            self._ended = stored.turn.status is not TurnStatus.RUNNING
            events = replay(stored, self._after)
            if events:
                self._after = events[-1].seq
                return events
            if not self._ended:
                await asyncio.wait([self._interrupted], timeout=POLL_EVERY)
            if self._interrupted.done():
                self._interrupted.result()
        return ()

    def interrupt(self, error: DeskError) -> None:
        if not self._interrupted.done():
            self._interrupted.set_exception(error)


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


async def _to_its_end(work: Coroutine[Any, Any, Turn]) -> Turn:
    """A client that leaves cancels its call. A turn that is stored and never started would keep its chat busy until
    its lease runs out, so the two happen together whoever leaves."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
