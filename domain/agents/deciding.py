"""A language model decides how a question stands alone and whom it is for; when it cannot, the embedded method does.

`Decider.decide` asks for other data, too (domain.agents.picking). One call, and one further attempt: in another form, where the server did not take the first, else told what was wrong with
the first reply. Both share a deadline. Whatever goes wrong ends in the nodes `rewrite` and `route`, as if no model had been
asked.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.runtime import Runtime
from pydantic import ValidationError

from domain.agents.answering import ModelError
from domain.agents.decisions import DecisionTask
from domain.agents.prompts import RequestRefused
from domain.agents.reply_forms import DOUBTFUL, SURE, FormRefused, Reply, ReplyFault, ReplyForm, ReplyForms, ReplySchema
from domain.agents.small_talk import small_talk
from domain.agents.state import TurnContext, TurnState
from domain.deadline import until
from domain.errors import ContentFiltered, DeskError
from domain.model import Usage

_log = structlog.get_logger()

T = TypeVar("T")
Told = TypeVar("Told", covariant=True)
Call = Callable[[str, BaseChatModel], Awaitable[AIMessage]]
"""Asks one model for a reply, given its name and itself."""


class DecidingModel(Protocol):
    """A language model, or several that stand in for one another."""

    async def reply(self, call: Call) -> AIMessage:
        """What `call` returns, for the first of them that replies. Raises what the last one's `call` raises, and
        ModelUnavailable when nobody is asked just now."""
        ...


class Task(Protocol[Told]):
    """What a model is asked for, as data."""

    @property
    def schema(self) -> ReplySchema: ...

    def messages(self, form: ReplyForm, fault: ReplyFault | None = None) -> list[BaseMessage]:
        """After a `fault`, with what was wrong with the reply."""
        ...

    def read(self, reply: Reply) -> Told:
        """Raises ReplyFault."""
        ...


class _Refused(Exception):
    """The model, or its provider's filter, will have nothing to do with this question."""


@dataclass(slots=True)
class _Cost:
    usage: Usage


class Decider:
    """Node `decide`. `seconds` bound both attempts together. `form` is the one that the model is asked in, None to find
    out; a `strict` server takes OpenAI's strict schemas. Raises nothing of the model's."""

    def __init__(
        self,
        model: DecidingModel,
        model_error: ModelError,
        seconds: float,
        form: ReplyForm | None = None,
        strict: bool = False,
    ) -> None:
        self._model = model
        self._model_error = model_error
        self._seconds = seconds
        self._form = form
        self.strict = strict
        self._forms: dict[str, ReplyForms] = {}

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context = runtime.context
        settled = state["settled"]
        question, routes = settled.question, not context.chosen and not settled.meant
        task = DecisionTask(
            question, state["conversation"], context.agents, routes, self.strict, may_ask=not settled.replied
        )
        decision, cost = None, Usage(0, 0)
        if task.worthwhile and not small_talk(question):
            await context.until_stored()
            decision, cost = await self.decide(task, context.answer.id)
        told: TurnState = {"decisions_cost": cost}
        if decision is not None:
            told["standalone_question"] = decision.standalone_question
            if decision.routing is not None:
                told["routing"] = decision.routing
                context.recorder.route_chosen(decision.routing.routes, decision.standalone_question)
        return told

    async def decide(self, task: Task[T], message_id: int) -> tuple[T | None, Usage]:
        """None when the embedded method has to decide; and what asking cost."""
        cost = _Cost(Usage(0, 0))
        ends = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(ends):
                with until(ends):
                    return await self._attempts(task, cost), cost.usage
        except (ReplyFault, FormRefused, _Refused) as failure:
            _log.warning("decision_refused", message_id=message_id, reason=str(failure))
        except TimeoutError:
            _log.warning("decision_failed", message_id=message_id, reason="deadline")
        except Exception as failure:
            explained = failure if isinstance(failure, DeskError) else self._model_error(failure)
            if isinstance(explained, ContentFiltered):
                _log.warning("decision_refused", message_id=message_id, reason=explained.message)
            elif explained is not None:
                _log.warning("decision_failed", message_id=message_id, reason=explained.message)
            else:
                _log.error("decision_failed", message_id=message_id, exc_info=failure)
        return None, cost.usage

    async def _attempts(self, task: Task[T], cost: _Cost) -> T:
        """Raises ReplyFault, FormRefused, _Refused and what the model raises."""
        asking = _Asking(task, self._forms_of, self._model_error)
        try:
            return await self._attempt(asking, cost)
        except FormRefused:
            pass
        except ReplyFault as fault:
            asking.told(fault)
        return await self._attempt(asking, cost)

    async def _attempt(self, asking: "_Asking[T]", cost: _Cost) -> T:
        message = await self._model.reply(asking.call)
        if spent := message.usage_metadata:
            cost.usage += Usage(spent["input_tokens"], spent["output_tokens"])
        if (
            message.additional_kwargs.get("refusal")
            or message.response_metadata.get("finish_reason") == "content_filter"
        ):
            raise _Refused("the model refuses")
        return asking.read(message)

    def _forms_of(self, model: str) -> ReplyForms:
        return self._forms.setdefault(model, ReplyForms(model, self._form))


class _Asking(Generic[T]):
    """One question to whichever model it is that replies: each is asked in the form that it keeps to."""

    def __init__(self, task: Task[T], forms_of: Callable[[str], ReplyForms], model_error: ModelError) -> None:
        self._task = task
        self._forms_of = forms_of
        self._model_error = model_error
        self._forms: ReplyForms
        self._form: ReplyForm
        self._faults: dict[ReplyForm, ReplyFault] = {}

    def told(self, fault: ReplyFault) -> None:
        """What was wrong with the reply to the last call, for who is asked again in the same form."""
        self._faults[self._form] = fault

    async def call(self, name: str, model: BaseChatModel) -> AIMessage:
        """Raises FormRefused, ReplyFault and what the model raises."""
        forms = self._forms = self._forms_of(name)
        form = self._form = forms.form
        asked = model.bind(**self._task.schema.asked_in(form))
        try:
            return await asked.ainvoke(self._task.messages(form, self._faults.get(form)))
        except asyncio.CancelledError:
            forms.late(form)
            raise
        except ValidationError as error:  # LangChain's own, of arguments that are JSON and no object
            forms.missed(form, DOUBTFUL)
            raise ReplyFault("the arguments are no JSON object") from error
        except Exception as failure:
            if isinstance(self._model_error(failure), RequestRefused) and forms.refused(form):
                raise FormRefused(f"it does not take requests in the form {form}") from failure
            raise

    def read(self, message: AIMessage) -> T:
        """Of the last call. Raises ReplyFault."""
        try:
            reply = self._task.schema.read(message, self._form)
            decision = self._task.read(reply)
        except ReplyFault as fault:
            self._forms.missed(self._form, SURE if fault.passed_over else DOUBTFUL)
            raise
        if reply.in_form:
            self._forms.kept(self._form)
        else:
            self._forms.missed(self._form, SURE)
        return decision
