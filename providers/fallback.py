"""An answer model that may be two deployments: the second stands in where the first does not begin to answer, and one
that fails again and again is left alone for a while.

Until the first token there is a choice, and one patience for all of it: while another deployment could still be asked,
one has half of what is left. From the first token on the answer is its deployment's alone: nobody goes on in another's
words.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from langchain_core.messages import AIMessage, BaseMessage

from domain.agents.answering import ANSWERED_BY
from domain.agents.prompts import PromptTooLong
from domain.errors import ContentFiltered, ModelUnavailable
from domain.troubles import Trouble
from providers.breaker import Breaker, Call
from providers.direct_answers import DirectAnswers
from providers.model_errors import model_error
from providers.openai import close_model
from providers.retry_after import until
from providers.troubles import trouble_of

_log = structlog.get_logger()

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
    """A DirectModel. `deployments` are asked in this order; `patience` is in seconds, for the first token of any."""

    def __init__(self, deployments: Sequence[Deployment], patience: float) -> None:
        self.deployments = tuple(deployments)
        self._patience = patience

    @property
    def paused(self) -> tuple[str, ...]:
        """The names of those that are left alone just now."""
        return tuple(it.name for it in self.deployments if it.breaker.open)

    async def write(self, messages: Sequence[BaseMessage], sink: Callable[[str], None]) -> AIMessage:
        """As `DirectAnswers.write`; the message says in ANSWERED_BY who wrote it. Raises ModelUnavailable when all are
        left alone just now."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience
        failure: Exception | None = None
        for number, deployment in enumerate(self.deployments, 1):
            call = deployment.breaker.admit()
            if call is None:
                continue
            others = any(later.breaker.admits for later in self.deployments[number:])
            attempt = _Attempt(deployment, call, sink, (now() + deadline) / 2 if others else deadline)
            try:
                return await attempt.write(messages, left=others)
            except Exception as error:
                if attempt.trouble is None:
                    raise
                failure = error
        if failure is not None:
            raise failure
        wait = min(it.breaker.remaining for it in self.deployments)
        raise ModelUnavailable(PAUSED, retry_after=max(1, math.ceil(wait)))

    async def close(self) -> None:
        for deployment in self.deployments:
            await close_model(deployment.chat)


class _Attempt:
    """One deployment's chance to begin until `deadline`, in the event loop's time, and to write the answer."""

    def __init__(self, deployment: Deployment, call: Call, sink: Callable[[str], None], deadline: float) -> None:
        self.trouble: Trouble | None = None
        """What was wrong with the deployment, when it failed before its first token."""
        self._deployment = deployment
        self._call = call
        self._sink = sink
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timeout = asyncio.timeout(None)
        self._writes = False

    async def write(self, messages: Sequence[BaseMessage], left: bool) -> AIMessage:
        """Whether it is `left` at the deadline; otherwise its caller does that."""
        try:
            with until(self._deadline):
                async with self._timeout:
                    if left:
                        self._timeout.reschedule(self._deadline)
                    message = await self._deployment.chat.write(messages, self._feed)
        except asyncio.CancelledError:
            patience = self._deadline - self._began
            if not self._writes and self._loop.time() >= self._began + GIVEN_UP * patience:
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
