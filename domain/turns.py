"""Turns: sending a message, having it answered anew, following its answer from any cursor, stopping it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial

from domain.agents.catalog import AgentCatalog
from domain.agents.summaries import READ
from domain.errors import BadUserInput, ChatBusy
from domain.followers import Batches, Followers
from domain.inputs import Inputs
from domain.knowledge import Reader
from domain.model import OnBusy, Turn, TurnStatus, Viewer
from domain.ports import RateLimiter, Signals, StopRequested, TurnStore
from domain.queue import TurnQueue
from domain.records import BegunTurn, TurnRequest
from domain.runner import RunningTurn, TurnRunner
from domain.shielding import to_its_end
from domain.streams import Tenure

Begin = Callable[[TurnRequest], Awaitable[BegunTurn]]
"""Stores a turn that is asked for, or finds it."""

AHEAD = 0.01
"""Seconds by which a new turn is ahead of its announcement, unless there is text before: to tell whoever asked that it has
begun takes time from its search."""
STOP_AGAIN_AFTER = 1.0
"""Seconds after which another worker is asked again to stop a turn that runs on."""
STOP_WITHIN = 10.0
TITLE_LENGTH = 60


class Turns:
    """What a viewer can do with turns. Somebody else's turn and a missing one are both NotFound."""

    def __init__(
        self,
        store: TurnStore,
        followers: Followers,
        signals: Signals,
        runner: TurnRunner,
        queue: TurnQueue,
        catalog: AgentCatalog,
        limiter: RateLimiter,
    ) -> None:
        self._store = store
        self._followers = followers
        self._signals = signals
        self._runner = runner
        self._queue = queue
        self._catalog = catalog
        self._limiter = limiter

    async def send(
        self,
        viewer: Viewer,
        chat_id: int,
        text: str,
        client_message_id: str | None = None,
        agents: Sequence[str] | None = None,
        on_busy: OnBusy = OnBusy.REJECT,
    ) -> Turn:
        """Stores the message and begins the turn that answers it; with a key that was used before, returns the turn
        that it began. Raises BadUserInput, NotFound, IdempotencyMismatch, ServiceUnavailable, RateLimited or ChatBusy:
        the last two do not befall a key that was used before."""
        inputs = Inputs()
        inputs.message("text", text)
        inputs.client_message_id("client_message_id", client_message_id)
        inputs.check()
        chosen = self._chosen(agents or (), {agent.name for agent in self._catalog.visible_to(viewer.username)})

        def begin(request: TurnRequest) -> Awaitable[BegunTurn]:
            return self._store.begin_turn(viewer.user_id, chat_id, text, chosen, _title(text), request)

        return await to_its_end(self._begin(viewer, begin, client_message_id, on_busy))

    async def regenerate(
        self,
        viewer: Viewer,
        message_id: int,
        client_message_id: str | None = None,
        on_busy: OnBusy = OnBusy.REJECT,
    ) -> Turn:
        """Begins a turn that answers a question anew; the answers before stay, as versions of the new one.
        `message_id` is one of them, or the question. Raises as `send` does."""
        inputs = Inputs()
        inputs.client_message_id("client_message_id", client_message_id)
        inputs.check()

        def begin(request: TurnRequest) -> Awaitable[BegunTurn]:
            return self._store.begin_again(viewer.user_id, message_id, request)

        return await to_its_end(self._begin(viewer, begin, client_message_id, on_busy))

    def follow(self, viewer: Viewer, turn: Turn | int, after: int = 0, tenure: Tenure | None = None) -> Batches:
        """See `Followers.follow`."""
        return self._followers.follow(viewer, turn, after, tenure)

    async def get(self, viewer: Viewer, turn_id: int) -> Turn:
        return await self._followers.get(viewer, turn_id)

    async def get_batch(self, viewer: Viewer, turn_ids: Sequence[int]) -> dict[int, Turn]:
        return await self._store.get_turns(viewer.user_id, turn_ids)

    async def stop(self, viewer: Viewer, turn_id: int) -> Turn:
        """Ends generation and returns the ended turn; one that has ended already is returned as it is. A turn whose
        worker cannot be reached is still RUNNING after STOP_WITHIN seconds, and is returned so."""
        turn = await self.get(viewer, turn_id)
        give_up_at = asyncio.get_running_loop().time() + STOP_WITHIN
        while not turn.status.ended and asyncio.get_running_loop().time() < give_up_at:
            if turn.status is TurnStatus.RUNNING:
                await self._stop_running(viewer, turn_id)
            else:
                await self._queue.cancel(turn_id)
            turn = await self.get(viewer, turn_id)
        return turn

    async def _stop_running(self, viewer: Viewer, turn_id: int) -> None:
        await self._signals.publish(StopRequested(turn_id))
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_AGAIN_AFTER), aclosing(self.follow(viewer, turn_id)) as batches:
                async for _ in batches:
                    pass

    async def _begin(self, viewer: Viewer, begin: Begin, client_message_id: str | None, on_busy: OnBusy) -> Turn:
        visible, reader = self._catalog.visible_to(viewer.username), Reader(viewer.username)
        ahead: RunningTurn | None = None

        def run_ahead(begun: BegunTurn) -> None:
            nonlocal ahead
            if ahead is not None:  # of a transaction that is tried again
                ahead.forget()
            ahead = self._runner.begin(begun, visible, reader)

        request = self._request(viewer, client_message_id, on_busy, run_ahead)
        try:
            begun = await self._begun(viewer, partial(begin, request), on_busy)
            if begun.created and begun.turn.status is TurnStatus.QUEUED:
                self._queue.add(begun.turn.id)
            elif begun.created:
                run, ahead = ahead, None
                run = await self._runner.start(begun, visible, reader, run)
                await asyncio.wait([run.recorder.heard], timeout=AHEAD)
        finally:
            if ahead is not None:
                ahead.forget()
        return begun.turn

    async def _begun(self, viewer: Viewer, begin: Callable[[], Awaitable[BegunTurn]], on_busy: OnBusy) -> BegunTurn:
        give_up_at = asyncio.get_running_loop().time() + STOP_WITHIN
        while True:
            try:
                return await begin()
            except ChatBusy as busy:
                if on_busy is not OnBusy.INTERRUPT or asyncio.get_running_loop().time() > give_up_at:
                    raise
                await self.stop(viewer, busy.turn_id)

    def _request(
        self,
        viewer: Viewer,
        client_message_id: str | None,
        on_busy: OnBusy,
        written: Callable[[BegunTurn], None],
    ) -> TurnRequest:
        admitted = False

        async def admit() -> None:
            nonlocal admitted
            if not admitted:  # a request that is tried again is still one
                self._runner.admit()
                await self._limiter.hit("send", str(viewer.user_id))
                admitted = True

        enqueue = on_busy is OnBusy.ENQUEUE
        return TurnRequest(self._runner.limits.lease, client_message_id, enqueue, admit, READ, written)

    def _chosen(self, agents: Sequence[str], visible: set[str]) -> tuple[str, ...]:
        unknown = [name for name in agents if name not in visible]
        if unknown:
            known = ", ".join(sorted(visible))
            raise BadUserInput(fields={"agents": f"there is no agent {unknown[0][:64]!r}; there are {known}"})
        return tuple(dict.fromkeys(agents))


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"
