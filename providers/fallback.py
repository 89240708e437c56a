"""A language model that may be two deployments: the second stands in where the first does not begin to answer, and one
that fails again and again is left alone for a while. The same for answers, which stream, and for replies, which come whole.

Until the first token there is a choice, and one patience for all of it: while another deployment could still be asked,
one has half of what is left. From the first token on the answer is its deployment's alone: nobody goes on in another's
words.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from langchain_core.messages import AIMessage

from domain.agents.answering import ANSWERED_BY, Asked
from domain.agents.deciding import Call as ReplyCall
from domain.agents.prompts import PromptTooLong
from domain.breaker import Breaker, Call
from domain.deadline import deadline, until
from domain.errors import ContentFiltered, ModelUnavailable
from domain.troubles import Trouble
from providers.direct_answers import DirectAnswers
from providers.model_errors import model_error
from providers.openai import close_model
from providers.troubles import trouble_of

_log = structlog.get_logger()

Sink = Callable[[str], None]
Work = Callable[["Deployment", Sink], Awaitable[AIMessage]]
"""What one deployment is asked to do; text goes to the sink as it comes, if it comes piece by piece."""

PAUSED = "The answer model does not answer just now. Try again in a moment."
GIVEN_UP = 0.9
"""The part of its patience after which a silent call that is cancelled counts as failed: it was the deadline, or somebody
who had waited as long. A call that is stopped earlier says nothing about its deployment."""
_COUNTED = frozenset({Trouble.UNREACHABLE, Trouble.SILENT, Trouble.FAILING})
_REFUSALS = frozenset({Trouble.UNAUTHORISED, Trouble.MISSING, Trouble.REFUSED, Trouble.BUSY})
"""Who refuses is there."""
_LASTING = frozenset({Trouble.ANONYMOUS, Trouble.UNAUTHORISED, Trouble.MISSING, Trouble.REFUSED})
"""These do not pass by themselves."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """`name` is recorded with the answers that it writes; `remedies` are for whoever runs the desk."""

    name: str
    chat: DirectAnswers
    remedies: Mapping[Trouble, str]
    breaker: Breaker


class Deployments:
    """A DirectModel and a DecidingModel. `deployments` are asked in this order; `patience` is in seconds, for the first
    token of any of them, within the deadline that whoever asks is in."""

    def __init__(self, deployments: Sequence[Deployment], patience: float) -> None:
        self.deployments = tuple(deployments)
        self._patience = patience

    @property
    def paused(self) -> tuple[str, ...]:
        """The names of those that are left alone just now."""
        return tuple(it.name for it in self.deployments if it.breaker.open)

    async def write(self, asked: Asked, sink: Sink) -> AIMessage:
        """As `DirectAnswers.write`; the message says in ANSWERED_BY who wrote it. Raises ModelUnavailable when all are
        left alone just now."""
        return await self._ask(lambda deployment, feed: deployment.chat.write(asked, feed), sink)

    async def reply(self, call: ReplyCall) -> AIMessage:
        """As `write`, for a reply that comes whole; `call` asks for it."""
        return await self._ask(lambda deployment, feed: call(deployment.name, deployment.chat), _nowhere)

    async def close(self) -> None:
        for deployment in self.deployments:
            await close_model(deployment.chat)

    async def _ask(self, work: Work, sink: Sink) -> AIMessage:
        now = asyncio.get_running_loop().time
        late = now() + self._patience
        ends = min(late, deadline())
        failure: Exception | None = None
        for number, deployment in enumerate(self.deployments, 1):
            call = deployment.breaker.admit()
            if call is None:
                continue
            others = any(later.breaker.admits for later in self.deployments[number:])
            began = now()
            attempt = _Attempt(deployment, call, sink, began + (late - began) / 2 if others else late)
            try:
                return await attempt.run(work, began + (ends - began) / 2 if others else ends, left=others)
            except Exception as error:
                if attempt.trouble is None:
                    raise
                failure = error
        if failure is not None:
            raise failure
        wait = min(it.breaker.remaining for it in self.deployments)
        raise ModelUnavailable(PAUSED, retry_after=max(1, math.ceil(wait)))


def _nowhere(text: str) -> None:
    """Where the text of a reply goes that comes whole."""


class _Attempt:
    """One deployment's chance to do its work. One that has not begun it when it is `late`, in the event loop's time, has
    failed."""

    def __init__(self, deployment: Deployment, call: Call, sink: Sink, late: float) -> None:
        self.trouble: Trouble | None = None
        """What was wrong with the deployment, when it failed before its first token."""
        self._deployment = deployment
        self._call = call
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        began = self._loop.time()
        self._given_up = began + GIVEN_UP * (late - began)
        self._timeout = asyncio.timeout(None)
        self._writes = False

    async def run(self, work: Work, ends: float, left: bool) -> AIMessage:
        """Whether it is `left` when its chance `ends`; otherwise its caller does that."""
        try:
            with until(ends):
                async with self._timeout:
                    if left:
                        self._timeout.reschedule(ends)
                    message = await work(self._deployment, self._feed)
        except asyncio.CancelledError:
            if not self._writes and self._loop.time() >= self._given_up:
                self._failed(Trouble.SILENT)
            raise
        except Exception as error:
            self._look_into(error)
            raise
        else:
            self._answered()
        finally:
            self._call.left()
        message.response_metadata[ANSWERED_BY] = self._deployment.name
        return message

    def _feed(self, text: str) -> None:
        if text and not self._writes:
            self._writes = True
            self._timeout.reschedule(None)
            self._answered()
        self._sink(text)

    def _look_into(self, error: Exception) -> None:
        meant = model_error(error)
        if self._writes or meant is None:
            return
        if isinstance(meant, ContentFiltered | PromptTooLong):
            self._answered()
        else:
            self._failed(trouble_of(error))

    def _answered(self) -> None:
        if self._call.answered():
            _log.info("model_resumed", model=self._deployment.name)

    def _failed(self, trouble: Trouble) -> None:
        self.trouble = trouble
        name, remedy = self._deployment.name, self._deployment.remedies[trouble]
        tell = _log.error if trouble in _LASTING else _log.warning
        tell("model_failed", model=name, trouble=trouble.value, remedy=remedy)
        if trouble in _REFUSALS:
            self._answered()
        elif trouble in _COUNTED and self._call.failed():
            _log.error("model_paused", model=name, seconds=self._deployment.breaker.pause)
