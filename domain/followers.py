"""Following a turn from any event on: from the turn log while that holds it, from the store before and after."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from domain.errors import BadUserInput, DeskError, NotFound
from domain.events import TERMINAL, TurnEvent
from domain.model import Turn, TurnStatus, Viewer
from domain.ports import LogReader, TurnLog, TurnStore
from domain.replay import replay
from domain.streams import OpenStreams, Tenure

AT_ONCE = 256
"""Events of a batch, at most: others run before the next. The replay of a long turn has thousands."""
POLL_EVERY = 0.5
"""Seconds between looks at a turn that runs, but not in this log."""
POLL_QUEUED_EVERY = 0.1
"""Seconds between looks at a turn that waits to begin: its first events should not wait, too."""

Batches = AsyncGenerator[Sequence[TurnEvent], None]


class Followers:
    """Follows turns for viewers. Somebody else's turn and a missing one are both NotFound."""

    def __init__(self, store: TurnStore, log: TurnLog, streams: OpenStreams) -> None:
        self._store = store
        self._log = log
        self._streams = streams

    async def get(self, viewer: Viewer, turn_id: int) -> Turn:
        turn = (await self._store.get_turns(viewer.user_id, [turn_id])).get(turn_id)
        if turn is None:
            raise NotFound("There is no such turn.")
        return turn

    async def follow(self, viewer: Viewer, asked: Turn | int, after: int = 0, tenure: Tenure | None = None) -> Batches:
        """The events with seq > `after` in batches as they come, to the turn's last. `asked` is a turn's id, or the
        viewer's turn as it was just begun or read, which need not be looked up again. Raises NotFound before the
        first, and Unauthenticated when the viewer's login ends or expires, or the `tenure` of the connection that it
        is for. Leaving stops nothing."""
        if after < 0:
            raise BadUserInput(fields={"after": "must not be negative"})
        turn = asked if isinstance(asked, Turn) else await self.get(viewer, asked)
        turn_id = turn.id
        if turn.status is TurnStatus.QUEUED:
            async with aclosing(
                self._read(viewer, self._stored(viewer, turn_id, after, queued=True), tenure)
            ) as batches:
                async for batch in batches:
                    after = batch[-1].seq
                    yield batch
                    if isinstance(batch[-1], TERMINAL):
                        return
            turn = await self.get(viewer, turn_id)
        reader = self._log.reader(turn_id, after) if turn.status is TurnStatus.RUNNING else None
        if reader is not None:
            async with aclosing(self._read(viewer, reader, tenure)) as batches:
                try:
                    async for batch in batches:
                        after = batch[-1].seq
                        yield batch
                    return
                except NotFound:
                    # The log does not hold the turn, or not any more: its chat was deleted, its lease was lost to
                    # another worker, or it runs on another worker and what the two share is away.
                    pass
        async with aclosing(self._read(viewer, self._stored(viewer, turn_id, after), tenure)) as batches:
            async for batch in batches:
                yield batch

    def _stored(self, viewer: Viewer, turn_id: int, after: int, *, queued: bool = False) -> "_StoredReader":
        return _StoredReader(self._store, viewer, turn_id, after, queued)

    async def _read(self, viewer: Viewer, reader: LogReader, tenure: Tenure | None) -> Batches:
        with self._streams.watch(viewer, reader.interrupt, tenure):
            while read := await reader.read():
                for start in range(0, len(read), AT_ONCE):
                    if start:
                        await asyncio.sleep(0)
                    yield read[start : start + AT_ONCE]


class _StoredReader(LogReader):
    """Follows a turn that this process's log does not hold: replayed from the store, which it asks again for as long
    as more may come. With `queued` it ends when the turn does not wait any more."""

    def __init__(self, store: TurnStore, viewer: Viewer, turn_id: int, after: int, queued: bool) -> None:
        self._store = store
        self._viewer = viewer
        self._turn_id = turn_id
        self._after = after
        self._queued = queued
        self._ended = False
        self._interrupted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> Sequence[TurnEvent]:
        while not self._ended:
            stored = await self._store.load_turn(self._viewer.user_id, self._turn_id)
            if stored is None:
                raise NotFound("There is no such turn.")
            status = stored.turn.status
            self._ended = status.ended or (self._queued and status is TurnStatus.RUNNING)
            events = replay(stored, self._after)
            if events:
                self._after = events[-1].seq
                return events
            if not self._ended:
                await asyncio.wait([self._interrupted], timeout=POLL_QUEUED_EVERY if self._queued else POLL_EVERY)
            if self._interrupted.done():
                self._interrupted.result()
        return ()

    def interrupt(self, error: DeskError) -> None:
        if not self._interrupted.done():
            self._interrupted.set_exception(error)
            self._interrupted.exception()  # seen, though nobody may read any more
