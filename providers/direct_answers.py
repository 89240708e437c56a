"""Chat models that write an answer's text straight from the network: `write(messages, sink)`.

LangChain and the SDK make several objects of every token, which is most of what a token costs. Here LangChain keeps
the configuration, the request, the result and, where there are any, the callbacks, and the SDK the connection:
credentials, retries, errors, timeouts. A request that is like those before it is made by providers/prepared_requests.py.
And reading the stream is ours: pieces of plain text go to the sink, once for each read from the network, and whatever is
more than plain text (tool calls, usage, finish reasons, the filter's words) is turned into a chunk by the library's own
code. tests/providers/test_direct_answers.py holds the results equal to the library's.
"""

import asyncio
import inspect
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from contextvars import ContextVar
from io import StringIO
from typing import Any, cast

import httpx2
import openai
import orjson
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.globals import get_llm_cache
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, BaseMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI
from openai import RequestOptions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import PrivateAttr

from domain.agents.answering import Asked
from domain.agents.listening import anybody_listens
from providers.event_stream import EventReader, EventTooLongError
from providers.prepared_requests import PreparedRequests
from providers.response_body import reads_of
from providers.whole_answers import AnswerCutShortError, WholeAzureChatOpenAI, WholeChatOpenAI

Sink = Callable[[str], None]

_Stream = openai.AsyncStream[ChatCompletionChunk]

DONE = b"[DONE]"
LONGEST = 33_554_432
"""Bytes of a whole response, at which it is no answer any more. The text alone has a tighter bound, which is the
turn's; this one is for what is no text."""
DRAIN = 0.25
"""Seconds to wait for a response's end behind its last event, without which its connection cannot be used again."""
BEARER: RequestOptions = {"security": {"bearer_auth": True}}  # as `create` has it
_SETTINGS = frozenset(
    {
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "model",
        "presence_penalty",
        "seed",
        "stream",
        "temperature",
    }
    | {"top_p", "user"}
)
"""Members of a request that are sent as they are."""
_PLAIN = frozenset({"content", "role", "refusal"})
"""Members of a delta that hold plain text, or what LangChain leaves out."""


class _Sinking:
    """One call's sink on its way through LangChain, and whether the answer went there."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.used = False


_current: ContextVar[_Sinking | None] = ContextVar("sink", default=None)


class DirectAnswers(BaseChatOpenAI):
    """What both of langchain-openai's chat models gain."""

    _prepared: PreparedRequests = PrivateAttr(default_factory=PreparedRequests)

    async def write(self, asked: Asked, sink: Sink) -> AIMessage:
        """The whole answer, when all of its text has gone to `sink`, which gets an empty one for a read without text.
        Raises what the SDK raises, and what `sink` does; AnswerCutShortError when the stream ends before the answer,
        EventTooLongError when it is no answer."""
        if self._goes_straight():
            (generation,) = (await self._read(await self._answer(list(asked()), {}), sink)).generations
            message = cast(AIMessage, generation.message)
            message.response_metadata = {**(generation.generation_info or {}), **message.response_metadata}
            return message
        sinking = _Sinking(sink)
        token = _current.set(sinking)
        try:
            message = await self.ainvoke(list(asked()))
        finally:
            _current.reset(token)
        if not sinking.used:  # LangChain had it from elsewhere: a cache, or a handler that made it stream its own way
            sink(str(message.text))
        return message

    def _goes_straight(self) -> bool:
        """Whether LangChain has nothing to do with a call but to hand it on, which costs more than the call: no handler
        hears of it, nothing is cached, limited or turned into another form."""
        if self.cache or self.rate_limiter or self.output_version or get_llm_cache() is not None:
            return False
        return not anybody_listens(self.callbacks, self.verbose)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        sinking = _current.get()
        if sinking is None:
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        sinking.used = True
        return await self._read(await self._answer(messages, {**kwargs, "stop": stop}), sinking.sink)

    async def _answer(self, messages: list[BaseMessage], settings: dict[str, Any]) -> httpx2.Response:
        """What begins to stream. Neither it nor anybody else holds what was asked: the SDK's stream would."""
        settings["stream"] = True
        if self._should_stream_usage(**settings):
            settings["stream_options"] = {"include_usage": True}
        response = await self._ask(self._get_request_payload(messages, **settings))
        response.request = httpx2.Request("POST", response.request.url)
        return response

    async def _read(self, response: httpx2.Response, sink: Sink) -> ChatResult:
        answer = _Answer(self, sink, response.request)
        # A generator, which must be closed when it is left early, before the response is.
        async with aclosing(response), aclosing(reads_of(response)) as reads:
            async for read in reads:
                answer.read(read)
                if answer.done:
                    await _drain(reads)
                    break
        return answer.result()

    async def _ask(self, payload: dict[str, Any]) -> httpx2.Response:
        """`create` looks through every part of a request for what JSON has to be told otherwise, which takes longer
        than sending it. Where there is nothing of the kind, it is sent as it is."""
        if not _goes_as_it_is(payload):
            return cast(_Stream, await self.async_client.create(**payload)).response
        client = self.root_async_client
        return await self._prepared.send(client, payload, self._credential, lambda: self._post(payload))

    async def _post(self, payload: dict[str, Any]) -> httpx2.Response:
        stream = await self.root_async_client.post(
            "/chat/completions",
            cast_to=ChatCompletion,
            body=payload,
            options=BEARER,
            stream=True,
            stream_cls=openai.AsyncStream[ChatCompletionChunk],
        )
        return cast(_Stream, stream).response

    async def _credential(self) -> str | None:
        """The key or token that the SDK would show just now; None when that is for the SDK alone to know."""
        return cast(str, self.root_async_client.api_key)


class DirectChatOpenAI(DirectAnswers, WholeChatOpenAI):
    async def _credential(self) -> str | None:
        key = self.openai_api_key
        if not callable(key):
            return await super()._credential()
        return cast(str, await key()) if inspect.iscoroutinefunction(key) else None


class DirectAzureChatOpenAI(DirectAnswers, WholeAzureChatOpenAI):
    async def _credential(self) -> str | None:
        provider = self.azure_ad_async_token_provider
        return await super()._credential() if provider is None else await provider()


class _Answer:
    """One answer in the making."""

    def __init__(self, model: BaseChatOpenAI, sink: Sink, request: httpx2.Request) -> None:
        self.done = False
        self._model = model
        self._sink = sink
        self._request = request
        self._reader = EventReader()
        self._chunks: list[ChatGenerationChunk] = []
        self._plain = StringIO()
        """Text since the last chunk."""
        self._kind: type[BaseMessageChunk] = AIMessageChunk
        self._finished = False
        self._size = 0

    def read(self, read: bytes) -> None:
        """Takes what came at once and sinks its text, also when it ends in an error."""
        self._size += len(read)
        if self._size > LONGEST:
            raise EventTooLongError(f"a response of more than {LONGEST} bytes")
        texts, events = [], self._reader.feed(read)
        try:
            for data in events:
                if data.startswith(DONE):
                    self.done = True
                    break
                chunk = _json(data)
                text = _plain_text(chunk)
                if text is None:
                    text = self._convert(chunk)
                else:
                    self._plain.write(text)
                if text:
                    texts.append(text)
        finally:
            if events:
                self._sink("".join(texts))

    def result(self) -> ChatResult:
        if not self._finished:
            raise AnswerCutShortError("the answer's stream ended without a finish reason")
        self._keep_plain()
        with _known_shape():
            return generate_from_stream(iter(self._chunks))

    def _convert(self, chunk: Any) -> str:
        """The library's way. Returns the chunk's text. Raises APIError for an error among the chunks, as the SDK."""
        if not isinstance(chunk, dict):
            raise openai.OpenAIError("the stream holds something that is no chunk")
        if error := chunk.get("error"):
            said = error.get("message") if isinstance(error, dict) else None
            why = said if isinstance(said, str) and said else "An error occurred during streaming"
            raise openai.APIError(why, self._request, body=error)
        self._keep_plain()
        with _known_shape():
            return self._keep(chunk)

    def _keep_plain(self) -> None:
        if text := self._plain.getvalue():
            delta = {"role": None, "content": text}
            self._plain = StringIO()
            self._keep({"choices": [{"index": 0, "delta": delta}]})

    def _keep(self, chunk: dict[str, Any]) -> str:
        generation = self._model._convert_chunk_to_generation_chunk(chunk, self._kind, {})
        if generation is None:
            return ""
        self._chunks.append(generation)
        self._kind = type(generation.message)
        self._finished = self._finished or bool((generation.generation_info or {}).get("finish_reason"))
        return generation.text


def _goes_as_it_is(payload: dict[str, Any]) -> bool:
    """Whether a request is made of nothing but plain values and texts."""
    return all(
        (name in _SETTINGS and (type(value) in (str, int, bool) or (type(value) is float and math.isfinite(value))))
        or (name == "stream_options" and value == {"include_usage": True})
        or (name == "messages" and all(map(_is_text, value)))
        for name, value in payload.items()
    )


def _is_text(message: Any) -> bool:
    return message.keys() == {"role", "content"} and type(message["content"]) is str


@contextmanager
def _known_shape() -> Iterator[None]:
    """Around the library's code, which takes what a model should send for granted."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as failure:
        raise openai.OpenAIError("the stream holds a chunk of no known shape") from failure


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode())  # which takes more: halves of surrogate pairs, NaN
    except RecursionError as failure:
        raise openai.OpenAIError("the stream holds something nested too deeply") from failure


def _plain_text(chunk: Any) -> str | None:
    """The text of a chunk that is nothing else; None for any other."""
    try:
        (choice,) = chunk["choices"]
        delta = choice["delta"]
        text = delta["content"]
        if (
            type(text) is str
            and not choice.get("finish_reason")
            and not choice.get("logprobs")
            and not chunk.get("usage")
            and not chunk.get("error")
            and delta.keys() <= _PLAIN
            and delta.get("role") in (None, "assistant")
        ):
            return text
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return None


async def _drain(reads: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN):
            async for _ in reads:
                pass
