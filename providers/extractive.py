"""The answer model of the embedded default: it quotes the passages' own sentences, with no language model.

It reads the `Numbered` passages that `domain.agents.prompts` puts beside the last message, so it can say nothing that
no passage says. Tokens are counted as words.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from domain.agents.extraction import Quote, extract
from domain.agents.prompts import EVIDENCE
from domain.agents.state import Evidence
from domain.knowledge import Passage
from domain.terms import sentences

NO_ANSWER = "The documents that I answer from do not say."
"""The whole answer when no need could be answered."""

_WORD = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+$")


class NumberedPassages(Protocol):
    """What this model reads of `domain.agents.prompts.Numbered`."""

    evidence: tuple[Evidence, ...]

    def number(self, passage: Passage) -> int: ...


class ExtractiveChatModel(BaseChatModel):
    """Deterministic. `words_per_second` paces a stream for demonstrations; None streams as fast as it is read."""

    words_per_second: float | None = None

    @property
    def _llm_type(self) -> str:
        return "extractive"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = answer(messages)
        message = AIMessage(content=text, usage_metadata=_usage(messages, text))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        text = answer(messages)
        for word in _WORD.findall(text):
            if self.words_per_second:
                time.sleep(1 / self.words_per_second)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        yield _last(messages, text)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        text = await asyncio.to_thread(answer, messages)
        for word in _WORD.findall(text):
            await asyncio.sleep(1 / self.words_per_second if self.words_per_second else 0)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        yield _last(messages, text)


def answer(messages: Sequence[BaseMessage]) -> str:
    """The answer to the last message, with [n] after each quoted sentence; NO_ANSWER without one."""
    numbered: NumberedPassages | None = messages[-1].additional_kwargs.get(EVIDENCE) if messages else None
    if numbered is None:
        return NO_ANSWER
    answered, unanswered = [], []
    said: set[tuple[int, int, int]] = set()
    for evidence in numbered.evidence:
        others = [one for one in numbered.evidence if one is not evidence]
        if lines := extract(evidence, others):
            if written := _written(lines, numbered, said):
                answered.append(written)
        else:
            unanswered.append(evidence.need.text)
    if not answered:
        return NO_ANSWER
    missing = [f"On “{need.strip(' ?.')}”: {NO_ANSWER}" for need in unanswered]
    return "\n\n".join(answered + missing)


def _written(lines: Sequence[Sequence[Quote]], numbered: NumberedPassages, said: set[tuple[int, int, int]]) -> str:
    written = []
    for line in lines:
        quoted = []
        for quote in line:
            number = numbered.number(quote.passage)
            key = (number, quote.span.start, quote.span.end)
            if key not in said:
                said.add(key)
                lead = f"{quote.lead}: " if quote.lead else ""
                quoted += [(one, number) for one in _sentences(lead + quote.text)]
        if quoted:
            written.append(_line(quoted))
    return "\n".join(written)


def _sentences(text: str) -> list[str]:
    """A sentence of a passage can be several where the passage's quotation marks do not stand around it."""
    return [text[span.start : span.end] for span in sentences(text)]


def _line(quoted: Sequence[tuple[str, int]]) -> str:
    """Sentences with their markers. One that would run into the sentence before it (`Same as regular season`) begins a
    line of its own: a marker stands behind one sentence."""
    line, before = "", ""
    for text, number in quoted:
        between = " " if len(sentences(f"{before} {text}")) > 1 else "\n"
        line += f"{between if before else ''}{text} [{number}]"
        before = text
    return line


def _last(messages: Sequence[BaseMessage], text: str) -> ChatGenerationChunk:
    usage = _usage(messages, text)
    return ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage, chunk_position="last"))


def _usage(messages: Sequence[BaseMessage], text: str) -> UsageMetadata:
    """Words stand for tokens."""
    asked = sum(len(str(message.text).split()) for message in messages)
    said = len(text.split())
    return UsageMetadata(input_tokens=asked, output_tokens=said, total_tokens=asked + said)
