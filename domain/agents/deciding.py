"""A language model decides how a question stands alone and whom it is for; when it cannot, the embedded method does.

One call, one further attempt that is told what was wrong with the first, both within a deadline of their own. Whatever
goes wrong ends in the nodes `rewrite` and `route`, as if no model had been asked.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.runtime import Runtime
from pydantic import ValidationError

from domain.agents.answering import ModelError
from domain.agents.decisions import NAME, Decision, DecisionFault, DecisionTask
from domain.agents.small_talk import small_talk
from domain.agents.state import TurnContext, TurnState
from domain.errors import ContentFiltered
from domain.model import Usage

LIMIT, PAUSE = 3, 30.0
"""After so many failures with no reply between them the model is not asked for so many seconds: no turn waits for
what does not come."""

_log = structlog.get_logger()


class _Refused(Exception):
    """The model, or its provider's filter, will have nothing to do with this question."""


@dataclass(slots=True)
class _Cost:
    usage: Usage


class Decider:
    """Node `decide`. `seconds` bound both attempts together. Raises nothing of the model's."""

    def __init__(self, model: BaseChatModel, model_error: ModelError, seconds: float) -> None:
        self._model = model
        self._model_error = model_error
        self._seconds = seconds
        self._failures = 0
        self._rests_until = 0.0

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context, cost = runtime.context, _Cost(Usage(0, 0))
        question = context.question.text
        task = DecisionTask(question, state["conversation"], context.agents, routes=not context.chosen)
        decision = None
        if task.worthwhile and not small_talk(question) and time.monotonic() >= self._rests_until:
            decision = await self._decide(task, cost, context.answer.id)
        told: TurnState = {"decisions_cost": cost.usage}
        if decision is not None:
            told["standalone_question"] = decision.standalone_question
            if decision.routing is not None:
                told["routing"] = decision.routing
                context.recorder.route_chosen(decision.routing.routes, decision.standalone_question)
        return told

    async def _decide(self, task: DecisionTask, cost: _Cost, message_id: int) -> Decision | None:
        """None when the embedded method has to decide."""
        try:
            async with asyncio.timeout(self._seconds):
                decision = await self._attempts(task, cost)
        except (DecisionFault, _Refused) as failure:
            self._failures = 0
            _log.warning("decision_refused", message_id=message_id, reason=str(failure))
        except TimeoutError:
            self._failed()
            _log.warning("decision_failed", message_id=message_id, reason="deadline")
        except Exception as failure:
            explained = self._model_error(failure)
            if isinstance(explained, ContentFiltered):
                _log.warning("decision_refused", message_id=message_id, reason=explained.message)
            elif explained is not None:
                self._failed()
                _log.warning("decision_failed", message_id=message_id, reason=explained.message)
            else:
                self._failed()
                _log.error("decision_failed", message_id=message_id, exc_info=failure)
        else:
            self._failures = 0
            return decision
        return None

    async def _attempts(self, task: DecisionTask, cost: _Cost) -> Decision:
        """Raises DecisionFault, _Refused and what the model raises."""
        try:
            return task.read(await self._ask(task, task.messages(), cost))
        except DecisionFault as fault:
            return task.read(await self._ask(task, task.repair(fault), cost))

    async def _ask(self, task: DecisionTask, messages: list[BaseMessage], cost: _Cost) -> AIMessage:
        try:
            message = await self._model.bind_tools([task.tool], tool_choice=NAME).ainvoke(messages)
        except ValidationError as error:  # LangChain's own, of arguments that are JSON and no object
            raise DecisionFault("the arguments are no JSON object") from error
        if spent := message.usage_metadata:
            cost.usage += Usage(spent["input_tokens"], spent["output_tokens"])
        if (
            message.additional_kwargs.get("refusal")
            or message.response_metadata.get("finish_reason") == "content_filter"
        ):
            raise _Refused("the model refuses")
        return message

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= LIMIT:
            self._rests_until = time.monotonic() + PAUSE
