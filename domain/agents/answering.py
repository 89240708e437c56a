"""Answers from the passages that were retrieved, streaming; or says what the desk can help with, when none can."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol, cast, runtime_checkable

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langgraph.runtime import Runtime

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.citations import CitationWriter
from domain.agents.patience import ModelSilent, Patience, Waiting
from domain.agents.prompts import Numbered, answer_messages
from domain.agents.small_talk import reply
from domain.agents.state import Draft, TurnContext, TurnState
from domain.errors import ContentFiltered, DeskError
from domain.model import Usage

ModelError = Callable[[Exception], DeskError | None]
"""A provider's reading of its own exceptions; None for one that is not the provider's."""


@runtime_checkable
class DirectModel(Protocol):
    """A model that can write an answer straight to a sink, as it comes from the network."""

    async def write(self, messages: Sequence[BaseMessage], sink: Callable[[str], None]) -> AIMessage:
        """The whole message, once all of its text has gone to `sink`; what came and is no text goes there as an empty
        one."""
        ...


class Answering:
    """Node `answer`. Raises ContentFiltered or ModelUnavailable, with what was written before already recorded."""

    def __init__(
        self,
        model: BaseChatModel,
        model_name: str,
        model_error: ModelError,
        catalog: AgentCatalog,
        patience: Patience,
    ) -> None:
        self._model = model
        self._model_name = model_name
        self._model_error = model_error
        self._catalog = catalog
        self._patience = patience

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context = runtime.context
        needs = state["routing"].needs
        evidence = sorted(state.get("evidence", []), key=lambda found: needs.index(found.need))
        numbered = Numbered(evidence)
        writer = CitationWriter(numbered, context.answer.id, context.recorder)
        if not needs:
            text = reply(context.question.text) or refusal(context.agents)
            return {"draft": _written(writer, text)}
        asked = [self._catalog.get(route.agent) for route in state["routing"].routes]
        if not numbered.passages:
            return {"draft": _written(writer, nothing_found(asked))}
        messages = answer_messages(state["standalone_question"], state["conversation"], numbered, asked)
        try:
            async with Waiting(self._patience, writer.feed) as waiting:
                usage, finished = await _write(self._model, messages, waiting.feed)
        except ModelSilent:
            writer.end()
            raise
        except DeskError:
            raise
        except Exception as failure:
            writer.end()
            explained = self._model_error(failure)
            if explained is None:
                raise
            raise explained from failure
        writer.end()
        if finished == "content_filter":
            raise ContentFiltered("The model's provider stopped this answer.")
        return {"draft": Draft(writer.text, tuple(writer.sources), usage, self._model_name)}


def refusal(agents: Sequence[Agent]) -> str:
    """What is said when no agent's documents hold the answer."""
    topics = "\n".join(f"- {agent.title}: {agent.description}" for agent in agents)
    return f"I can't answer that: it is not in the documents that I answer from. I can help with:\n{topics}"


def nothing_found(agents: Sequence[Agent]) -> str:
    """What is said when the agents that were asked found no passage."""
    return f"I looked in {' and '.join(agent.title for agent in agents)}, and found nothing about that."


def _written(writer: CitationWriter, text: str) -> Draft:
    writer.feed(text)
    writer.end()
    return Draft(text, (), Usage(0, 0))


async def _write(
    model: BaseChatModel, messages: list[BaseMessage], sink: Callable[[str], None]
) -> tuple[Usage, str | None]:
    """Sinks the answer's text as it comes; returns what it cost and why it ended, as far as the model says."""
    if isinstance(model, DirectModel):
        message = await model.write(messages, sink)
        return _used(message) or Usage(0, 0), message.response_metadata.get("finish_reason")
    usage, finished = Usage(0, 0), None
    async with aclosing(_stream(model, messages)) as chunks:
        async for chunk in chunks:
            sink(str(chunk.text))
            usage = _used(chunk) or usage
            finished = chunk.response_metadata.get("finish_reason") or finished
    return usage, finished


def _stream(model: BaseChatModel, messages: list[BaseMessage]) -> AsyncGenerator[AIMessageChunk, None]:
    """LangChain says iterator, and gives a generator, which must be closed when it is left early."""
    return cast(AsyncGenerator[AIMessageChunk, None], model.astream(messages))


def _used(message: AIMessage) -> Usage | None:
    cost = message.usage_metadata
    return None if cost is None else Usage(cost["input_tokens"], cost["output_tokens"])
