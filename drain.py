"""Stopping without losing anything: what happens between SIGTERM (or Ctrl-C) and the end of the process.

While it drains, the server still listens: it answers /readyz with 503 and lets followers resume, but takes no new turns.
As soon as none of its turns runs, or when their time is up, what still runs is ended as INTERRUPTED with its text kept;
then every stream that is left is told to go on elsewhere; then the server that runs this application stops as it would
have done at once, and closes.

`Deadlines` splits the time. docs/PROTOCOL.md, "Restarts", states what clients see.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog
import uvicorn

from domain.runner import TurnRunner
from domain.streams import OpenStreams

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SUPERVISOR = 0.5
"""Seconds that uvicorn's supervisor takes to pass a signal on to its workers."""
CLOSING = 0.5
"""Seconds that the rest takes: uvicorn's own pauses, the connections to databases, the interpreter's end."""

LEAST_END = 3.0
"""Seconds that storing the turns' ends and telling their followers should have, on a busy machine."""

_log = structlog.get_logger()
Handler = Callable[[int, FrameType | None], Any]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How SHUTDOWN_SECONDS are used, all of them at most: a server with nothing to do is gone at once.

    Of what remains beside SUPERVISOR and CLOSING, four fifths are `grace` for the turns that run; of a short time, all
    but LEAST_END, or half. The rest is cut into three equal `step`s: interrupting turns, ending streams, and uvicorn's
    wait for what reads slowly or not at all. At `last` (seconds after the signal) the kernel ends the process.
    """

    grace: float
    step: float
    last: float

    @classmethod
    def of(cls, shutdown_seconds: float) -> "Deadlines":
        ours = shutdown_seconds - SUPERVISOR - CLOSING
        end = max(ours / 5, min(LEAST_END, ours / 2))
        return cls(ours - end, end / 3, shutdown_seconds - SUPERVISOR)


class Drain:
    """Belongs to one event loop."""

    def __init__(self, runner: TurnRunner, streams: OpenStreams, deadlines: Deadlines) -> None:
        self._runner = runner
        self._streams = streams
        self._deadlines = deadlines
        self._previous: dict[int, Handler] = {}
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @contextmanager
    def before_signals(self) -> Iterator[None]:
        """Within, SIGTERM and SIGINT drain first, and only then reach whoever handled them before."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's, so is the server that they are meant for
            return
        loop = asyncio.get_running_loop()

        def on_signal(signum: int, _: FrameType | None) -> None:
            if self._task is None:
                # Whatever hangs, Python itself included: this ends it.
                signal.setitimer(signal.ITIMER_REAL, self._deadlines.last)
            loop.call_soon_threadsafe(self._begin, signum)

        for signum in SIGNALS:
            handler = signal.getsignal(signum)
            if callable(handler):
                self._previous[signum] = handler
                signal.signal(signum, on_signal)
        try:
            yield
        finally:
            self._give_back()

    def _begin(self, signum: int) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(signum), name="drain")
        elif signum == signal.SIGINT:
            # Ctrl-C again. A second SIGTERM asks for nothing new: a supervisor sends one after the terminal's Ctrl-C.
            self._hurry.set()

    async def _run(self, signum: int) -> None:
        _log.info("draining", signal=signal.Signals(signum).name, turns=self._runner.running)
        stop = self._previous[signum]
        try:
            await self._until_idle()
            await self._runner.close(self._deadlines.step)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._deadlines.step):
                    await self._streams.close()
            _log.info("drained", turns=self._runner.running)
        finally:
            self._give_back()
            _bound(stop, self._deadlines.step)
            stop(signum, None)

    async def _until_idle(self) -> None:
        waits = {asyncio.create_task(self._runner.drain()), asyncio.create_task(self._hurry.wait())}
        await asyncio.wait(waits, timeout=self._deadlines.grace, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _give_back(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous.clear()


def _bound(handler: Handler, seconds: float) -> None:
    """Without a timeout of its own, uvicorn waits for ever for a client that does not read."""
    server = getattr(handler, "__self__", None)
    if isinstance(server, uvicorn.Server):
        own = server.config.timeout_graceful_shutdown
        # Declared in whole seconds; it goes to asyncio.wait_for, which takes any.
        server.config.timeout_graceful_shutdown = min(seconds, seconds if own is None else own)  # type: ignore[assignment]
