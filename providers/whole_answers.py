"""Chat models that notice when an answer's stream ends before the answer does.

A proxy or a server that goes down can end a response in good order halfway. The SDK then stops without an error, and
half an answer would pass for a whole one; only the finish reason is missing, which every complete answer ends with.
"""

from collections.abc import AsyncIterator
from typing import Any

import openai
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import AzureChatOpenAI, ChatOpenAI


class AnswerCutShortError(openai.OpenAIError):
    """The stream ended without a finish reason."""


class WholeChatOpenAI(ChatOpenAI):
    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in _whole(super()._astream(*args, **kwargs)):
            yield chunk


class WholeAzureChatOpenAI(AzureChatOpenAI):
    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in _whole(super()._astream(*args, **kwargs)):
            yield chunk


async def _whole(chunks: AsyncIterator[ChatGenerationChunk]) -> AsyncIterator[ChatGenerationChunk]:
    finished = False
    async for chunk in chunks:
        finished = finished or bool((chunk.generation_info or {}).get("finish_reason"))
        yield chunk
    if not finished:
        raise AnswerCutShortError("the answer's stream ended without a finish reason")
