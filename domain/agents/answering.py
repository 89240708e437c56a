"""Answers from the passages that were retrieved, streaming; or says what the desk can help with, when none can."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.citations import CitationWriter
from domain.agents.leaks import Instructions
from domain.agents.patience import ModelSilent, Patience, Waiting
from domain.agents.prompts import Numbered, Prompt, PromptTooLong, instructions
from domain.agents.small_talk import reply
from domain.agents.state import Draft, TurnContext, TurnState
from domain.errors import ContentFiltered, DeskError
from domain.model import Usage

_log = structlog.get_logger()

ANSWERED_BY = "answered_by"
"""Key in the `response_metadata` of a message: the name of the model that wrote it, where one stands for several."""

Asked = Callable[[], Sequence[BaseMessage]]
"""What a model is asked, composed when it is needed: nobody need hold it while the answer streams."""
ModelError = Callable[[Exception], DeskError | None]
"""A provider's reading of its own exceptions; None for one that is not the provider's."""


@runtime_checkable
class DirectModel(Protocol):
    """A model that can write an answer straight to a sink, as it comes from the network."""

    async def write(self, asked: Asked, sink: Callable[[str], None]) -> AIMessage:
        """The whole message, once all of its text has gone to `sink`; what came and is no text goes there as an empty
        one."""
        ...


class Answering:
    """What writes the answers of one model."""

    def __init__(
        self,
        model: BaseChatModel | DirectModel,
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
        self._secret = Instructions(instructions(catalog.all))

    async def answer(self, state: TurnState, context: TurnContext) -> Draft:
        """Raises ContentFiltered or ModelUnavailable, with what was written before already recorded."""
        await context.until_stored()
        needs = state["routing"].needs
        evidence = sorted(state.get("evidence", []), key=lambda found: needs.index(found.need))
        numbered = Numbered(evidence)
        writer = CitationWriter(numbered, context.answer.id, context.recorder, self._secret)
        if clarification := state["routing"].clarification:
            return _said(writer, clarification.text)
        if not needs:
            text = reply(context.question.text) or refusal(context.agents)
            return _said(writer, text)
        asked = [self._catalog.get(route.agent) for route in state["routing"].routes]
        unsearched = {found.need.agent for found in evidence if not found.searched}
        if not numbered.passages and not unsearched:
            return _said(writer, nothing_found(asked))
        preface = without_search([agent for agent in asked if agent.name in unsearched]) if unsearched else ""
        prompt = Prompt(state["standalone_question"], state["conversation"], numbered, asked)
        try:
            async with Waiting(self._patience, _prefaced(writer.feed, preface)) as waiting:
                try:
                    written = await self._write(prompt, writer, waiting)
                except PromptTooLong:
                    if waiting.begun:
                        raise
                    _log.warning("prompt_trimmed", message_id=context.answer.id, passages=len(numbered.passages))
                    prompt = prompt.trimmed()
                    writer = CitationWriter(prompt.numbered, context.answer.id, context.recorder, self._secret)
                    waiting.sink = _prefaced(writer.feed, preface)
                    written = await self._write(prompt, writer, waiting)
        except ModelSilent:
            writer.end()
            raise
        writer.end()
        if written.finished == "content_filter":
            raise ContentFiltered("The model's provider stopped this answer.")
        model = written.by or self._model_name
        return Draft(writer.text, tuple(writer.sources), written.usage, model, writer.cited)

    async def _write(self, prompt: Prompt, writer: CitationWriter, waiting: Waiting) -> "_Written":
        """Raises DeskError. What the model wrote before has all gone to `writer` then, unless it takes no more."""
        try:
            return await _write(self._model, prompt.messages, waiting.feed)
        except DeskError:
            raise
        except Exception as failure:
            writer.end()
            explained = self._model_error(failure)
            if explained is None:
                raise
            raise explained from failure


@dataclass(frozen=True, slots=True)
class _Written:
    """What an answer cost, why it ended and who wrote it, as far as the model says: Azure OpenAI of before 2024-09 does
    not count what it streams."""

    usage: Usage | None
    finished: str | None
    by: str | None = None


def refusal(agents: Sequence[Agent]) -> str:
    """What is said when no agent's documents hold the answer."""
    topics = "\n".join(f"- {agent.title}: {agent.description}" for agent in agents)
    return f"I can't answer that: it is not in the documents that I answer from. I can help with:\n{topics}"


def nothing_found(agents: Sequence[Agent]) -> str:
    """What is said when the agents that were asked found no passage."""
    return f"I looked in {' and '.join(agent.title for agent in agents)}, and found nothing about that."


def without_search(agents: Sequence[Agent]) -> str:
    """What an answer begins with when these agents' documents could not be searched."""
    titles = " and ".join(agent.title for agent in agents)
    return f"The documents of {titles} cannot be searched just now, so nothing in this answer comes from them.\n\n"


def _prefaced(sink: Callable[[str], None], preface: str) -> Callable[[str], None]:
    """Gives `preface` out together with the first text."""
    waiting = [preface] if preface else []

    def feed(text: str) -> None:
        sink((waiting.pop() if text and waiting else "") + text)

    return feed if preface else sink


def _said(writer: CitationWriter, text: str) -> Draft:
    writer.feed(text)
    writer.end()
    return Draft(text, (), Usage(0, 0))


async def _write(model: BaseChatModel | DirectModel, asked: Asked, sink: Callable[[str], None]) -> _Written:
    """Sinks the answer's text as it comes."""
    if isinstance(model, DirectModel):
        message = await model.write(asked, sink)
        told = message.response_metadata
        return _Written(_used(message), told.get("finish_reason"), told.get(ANSWERED_BY))
    usage: Usage | None = None
    finished = None
    async with aclosing(_stream(model, list(asked()))) as chunks:
        async for chunk in chunks:
            sink(str(chunk.text))
            usage = _used(chunk) or usage
            finished = chunk.response_metadata.get("finish_reason") or finished
    return _Written(usage, finished)


def _stream(model: BaseChatModel, messages: list[BaseMessage]) -> AsyncGenerator[AIMessageChunk, None]:
    """LangChain says iterator, and gives a generator, which must be closed when it is left early."""
    return cast(AsyncGenerator[AIMessageChunk, None], model.astream(messages))


def _used(message: AIMessage) -> Usage | None:
    cost = message.usage_metadata
    return None if cost is None else Usage(cost["input_tokens"], cost["output_tokens"])
