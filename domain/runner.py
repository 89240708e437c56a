"""Runs turns as tasks of the server's own, a bounded number at a time; a client's connection has no part in it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from domain.agents.catalog import Agent
from domain.agents.state import Draft, TurnContext
from domain.errors import DeskError, ErrorCode, Internal, ModelUnavailable
from domain.model import TurnError, TurnStatus
from domain.ports import BegunTurn, Signal, Signals, StopRequested, TurnLog, TurnStore
from domain.recorder import TurnRecorder

_log = structlog.get_logger()

Workflow = Callable[[TurnContext], Awaitable[Draft]]
INTERRUPTED = TurnError(ErrorCode.INTERNAL, "The server stopped while answering.", retryable=True)


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """`deadline` bounds one turn from its first step to its end; `lease` is how long a silent worker keeps a turn."""

    concurrent: int = 200
    lease: timedelta = timedelta(seconds=30)
    deadline: timedelta = timedelta(seconds=180)
    answer_characters: int = 40_000


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    ended_as: TurnStatus | None = None
    """Why the task was cancelled: STOPPED or INTERRUPTED; None with a lost lease."""


class TurnRunner:
    """Starts, stops and, at shutdown, interrupts turns."""

    def __init__(
        self, workflow: Workflow, store: TurnStore, log: TurnLog, signals: Signals, limits: TurnLimits
    ) -> None:
        self._workflow = workflow
        self._store = store
        self._log = log
        self.limits = limits
        self._slots = asyncio.Semaphore(limits.concurrent)
        self._running: dict[int, _Running] = {}
        signals.subscribe(self._on_signal)

    @property
    def running(self) -> int:
        return len(self._running)

    async def start(self, begun: BegunTurn, agents: tuple[Agent, ...], chosen: tuple[str, ...]) -> None:
        """Returns once the turn can be followed."""
        recorder = TurnRecorder(begun, self._store, self._log, self.limits.lease, self.limits.answer_characters)
        turn_id = begun.turn.id
        await recorder.start(lost=lambda: self._cancel(turn_id, None))
        context = TurnContext(begun.user_message, begun.answer, agents, chosen, recorder)
        task = asyncio.create_task(self._run(turn_id, context, recorder), name=f"turn {turn_id}")
        self._running[turn_id] = _Running(task)
        task.add_done_callback(lambda _: self._running.pop(turn_id, None))

    async def close(self) -> None:
        """Interrupts what still runs, keeping its text."""
        running = list(self._running.items())
        for turn_id, _ in running:
            self._cancel(turn_id, TurnStatus.INTERRUPTED)
        await asyncio.gather(*(run.task for _, run in running), return_exceptions=True)

    def _on_signal(self, signal: Signal) -> None:
        if isinstance(signal, StopRequested):
            self._cancel(signal.turn_id, TurnStatus.STOPPED)

    def _cancel(self, turn_id: int, ended_as: TurnStatus | None) -> None:
        run = self._running.get(turn_id)
        if run is not None and run.ended_as is None:
            run.ended_as = ended_as
            run.task.cancel()

    async def _run(self, turn_id: int, context: TurnContext, recorder: TurnRecorder) -> None:
        try:
            async with self._slots, asyncio.timeout(self.limits.deadline.total_seconds()):
                draft = await self._workflow(context)
        except asyncio.CancelledError:
            run = self._running.get(turn_id)
            status = run.ended_as if run is not None else None
            error = INTERRUPTED if status is not TurnStatus.STOPPED else None
            await recorder.finish(status or TurnStatus.INTERRUPTED, error=error)
        except Exception as failure:
            await recorder.finish(TurnStatus.FAILED, error=TurnError.of(_explained(failure, turn_id)))
        else:
            await recorder.finish(TurnStatus.COMPLETED, draft.sources, draft.usage, draft.model)


def _explained(failure: Exception, turn_id: int) -> DeskError:
    if isinstance(failure, DeskError):
        _log.warning("turn_failed", turn_id=turn_id, code=failure.code, reason=failure.message)
        return failure
    if isinstance(failure, TimeoutError):
        _log.warning("turn_failed", turn_id=turn_id, code=ErrorCode.MODEL_UNAVAILABLE, reason="deadline")
        return ModelUnavailable("The answer took too long.")
    _log.error("turn_failed", turn_id=turn_id, code=ErrorCode.INTERNAL, exc_info=failure)
    return Internal()
