"""Runs turns as tasks of the server's own, a bounded number at a time; a client's connection has no part in it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from domain.agents.catalog import Agent
from domain.agents.state import Draft, TurnContext
from domain.deadline import until
from domain.errors import DeskError, ErrorCode, Internal, ModelUnavailable, ServiceUnavailable
from domain.knowledge import Reader
from domain.model import SERVER_STOPPED, TurnError, TurnStatus
from domain.ports import Signal, Signals, StopRequested, TurnLog, TurnStore
from domain.recorder import TurnRecorder
from domain.records import BegunTurn
from domain.saver import TurnSaver

_log = structlog.get_logger()

Workflow = Callable[[TurnContext], Awaitable[Draft]]


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """`deadline` bounds one turn from its first step to its end; `lease` is how long a silent worker keeps a turn;
    `waiting` turns at most queue for one of the `concurrent` places."""

    concurrent: int = 200
    lease: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(seconds=180)
    answer_characters: int = 40_000
    waiting: int = 1_000


class RunningTurn:
    """One turn's run, from before the turn is stored: until then it does what costs nothing and is told nobody."""

    __slots__ = ("cancelled", "context", "ended_as", "recorder", "stored", "task", "working")

    def __init__(self, context: TurnContext, recorder: TurnRecorder, stored: asyncio.Future[None]) -> None:
        self.context = context
        self.recorder = recorder
        self.stored = stored
        self.task: asyncio.Task[None]
        self.ended_as: TurnStatus | None = None
        """Why it was cancelled: STOPPED or INTERRUPTED; None with a lost lease."""
        self.cancelled = False
        self.working = False
        """Whether the task itself may be cancelled. Before its first step it would never take one, and at its end it
        stores the turn: either way the turn would never be ended."""

    def forget(self) -> None:
        """The turn was not stored, and nothing is to be known of it."""
        self.stored.cancel()
        self.task.cancel()


class TurnRunner:
    """Starts, stops and, at shutdown, interrupts turns."""

    def __init__(
        self, workflow: Workflow, store: TurnStore, log: TurnLog, signals: Signals, limits: TurnLimits
    ) -> None:
        self._workflow = workflow
        self._store = store
        self._log = log
        self.limits = limits
        self._saver = TurnSaver(store, limits.lease)
        self._slots = asyncio.Semaphore(limits.concurrent)
        self._running: dict[int, RunningTurn] = {}
        self._closed = False
        self.draining = False
        """Whether new turns are refused since the server is about to stop."""
        signals.subscribe(self._on_signal)

    @property
    def running(self) -> int:
        return len(self._running)

    def admit(self) -> None:
        """Asked before anything of a new turn is stored. Raises ServiceUnavailable."""
        if self.draining:
            raise ServiceUnavailable
        if self.running >= self.limits.concurrent + self.limits.waiting:
            raise ServiceUnavailable("Too many questions wait for their answer. Try again in a moment.")

    def begin(self, begun: BegunTurn, agents: tuple[Agent, ...], reader: Reader) -> RunningTurn:
        """Lets a turn run while it is stored; it has to be started, or forgotten. `agents` are all that may be asked, for
        `reader`."""
        lease, room = self.limits.lease, self.limits.answer_characters
        recorder = TurnRecorder(begun, self._store, self._log, self._saver, lease, room)
        names = {agent.name for agent in agents}
        chosen = tuple(name for name in begun.turn.agents if name in names)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        context = TurnContext(begun.user_message, begun.answer, agents, chosen, recorder, reader, begun.before, stored)
        run = RunningTurn(context, recorder, stored)
        run.task = asyncio.create_task(self._run(begun.turn.id, run), name=f"turn {begun.turn.id}")
        return run

    async def start(
        self, begun: BegunTurn, agents: tuple[Agent, ...], reader: Reader, run: RunningTurn | None = None
    ) -> RunningTurn:
        """For a turn that is stored, which may have begun to `run`. Returns once it can be followed."""
        turn_id, run = begun.turn.id, run or self.begin(begun, agents, reader)
        try:
            await run.recorder.start(lost=lambda: self._cancel(turn_id, None))
        except BaseException:
            run.forget()
            raise
        self._running[turn_id] = run
        run.task.add_done_callback(lambda _: self._running.pop(turn_id, None))
        run.stored.set_result(None)
        if self._closed:  # it was admitted before, and stored since
            self._cancel(turn_id, TurnStatus.INTERRUPTED)
        return run

    async def drain(self) -> None:
        """Admits no more turns, and returns when none runs."""
        self.draining = True
        while self._running:
            await asyncio.wait([run.task for run in self._running.values()])

    async def close(self, within: float | None = None) -> None:
        """Interrupts what still runs, keeping its text. What the database does not take in `within` seconds goes on
        being tried for as long as the event loop runs."""
        self.draining = self._closed = True
        for turn_id in tuple(self._running):
            self._cancel(turn_id, TurnStatus.INTERRUPTED)
        tasks = [run.task for run in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        await self._saver.close(within)

    def _on_signal(self, signal: Signal) -> None:
        if isinstance(signal, StopRequested):
            self._cancel(signal.turn_id, TurnStatus.STOPPED)

    def _cancel(self, turn_id: int, ended_as: TurnStatus | None) -> None:
        run = self._running.get(turn_id)
        if run is not None and run.ended_as is None:
            run.ended_as, run.cancelled = ended_as, True
            if run.working:
                run.task.cancel()

    async def _run(self, turn_id: int, run: RunningTurn) -> None:
        recorder = run.recorder
        try:
            draft = await self._work(run)
        except asyncio.CancelledError:
            if run.stored.cancelled():
                return
            status = run.ended_as or TurnStatus.INTERRUPTED
            await recorder.finish(status, error=None if status is TurnStatus.STOPPED else SERVER_STOPPED)
        except Exception as failure:
            await recorder.finish(TurnStatus.FAILED, error=TurnError.of(_explained(failure, turn_id)))
        else:
            await recorder.finish(
                TurnStatus.COMPLETED, draft.sources, draft.usage, draft.model, groundedness=draft.groundedness
            )

    async def _work(self, run: RunningTurn) -> Draft:
        if run.cancelled:
            raise asyncio.CancelledError
        run.working = True
        try:
            async with self._slots:
                ends = asyncio.get_running_loop().time() + self.limits.deadline.total_seconds()
                async with asyncio.timeout_at(ends):
                    with until(ends):
                        return await self._workflow(run.context)
        finally:
            run.working = False
            await run.context.until_stored()


def _explained(failure: Exception, turn_id: int) -> DeskError:
    if isinstance(failure, DeskError):
        _log.warning("turn_failed", turn_id=turn_id, code=failure.code, reason=failure.message)
        return failure
    if isinstance(failure, TimeoutError):
        _log.warning("turn_failed", turn_id=turn_id, code=ErrorCode.MODEL_UNAVAILABLE, reason="deadline")
        return ModelUnavailable("The answer took too long.")
    _log.error("turn_failed", turn_id=turn_id, code=ErrorCode.INTERNAL, exc_info=failure)
    return Internal()
