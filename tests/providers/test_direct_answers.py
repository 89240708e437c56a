"""Answers written straight from the network are the library's own, on every shape that a stream can have.

`model.astream` is LangChain's way on the same model: what it makes of a stream is what `model.write` must.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.tracers.context import collect_runs

from domain.agents.answering import DirectModel
from domain.errors import ContentFiltered, DeskError, ModelUnavailable
from providers.direct_answers import DirectAnswers
from providers.event_stream import LONGEST as LONGEST_EVENT
from providers.event_stream import EventTooLongError
from providers.model_errors import model_error
from tests.providers.prepared import azure, closing
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import CutShort, ErrorInStream, FilterAnswer, FilterPrompt, Hang, Malformed, Refuse, Reset
from tests.standins.loopback import Exchange, LoopbackServer, Reply

QUESTION = [HumanMessage("How much is nano?")]
RETRIES = 2
ANSWER = "The nano plan is $9 a month [1].\nIt has one seat — ✓."
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 2}}


def chunk(delta: Any = None, finish: str | None = None, **others: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, "logprobs": None, "content_filter_results": {}}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20"}
    return {**head, "choices": [choice], "system_fingerprint": "fp_1", **others}


def call(index: int, name: str | None, arguments: str, number: str | None = None) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": number, "function": {"name": name, "arguments": arguments}}]}


FILTERED = {"hate": {"filtered": True, "severity": "high"}}
PROMPT = chunk(choices=[], id="", model="", prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}])
ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
WORDS = [chunk({"content": word}) for word in ("Nano ", "costs — ", "9 € 😀", " [1].")]
STOP = chunk({}, "stop")
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}], "refusal": None}

WHOLE: dict[str, list[Any]] = {
    "plain": [ROLE, *WORDS, STOP],
    "azure": [PROMPT, ROLE, *WORDS, STOP, chunk(choices=[], usage=USAGE)],
    "usage with every chunk": [ROLE, *[{**word, "usage": USAGE} for word in WORDS[:1]], STOP],
    "empty usage with every chunk": [ROLE, *[{**word, "usage": None} for word in WORDS], STOP],
    "text with the role and with the end": [chunk({"role": "assistant", "content": "A"}), chunk({"content": "B"}, "stop")],
    "nothing but an end": [STOP],
    "no role": [*WORDS, STOP],
    "role with every chunk": [*[chunk({"role": "assistant", "content": "x"}) for _ in range(3)], STOP],
    "content null": [ROLE, chunk({"content": None}), *WORDS, STOP],
    "delta without content": [ROLE, chunk({}), *WORDS, chunk({"role": "assistant"}), STOP],
    "refusal": [ROLE, chunk({"refusal": "I cannot"}), chunk({"content": "", "refusal": "."}), STOP],
    "reasoning beside the text": [ROLE, chunk({"content": "", "reasoning_content": "Hm."}), *WORDS, STOP],
    "cut off by length": [ROLE, *WORDS, chunk({}, "length")],
    "content filter": [ROLE, *WORDS, chunk({}, "content_filter")],
    "tool calls": [
        ROLE, chunk(call(0, "look", "", "call_1")), chunk(call(0, None, '{"q": ')), chunk(call(0, None, '"é"}')),
        chunk(call(1, "see", "{}", "call_2")), chunk({}, "tool_calls"),
    ],
    "a tool call after text": [ROLE, *WORDS, chunk(call(0, "look", "{}", "call_1")), chunk({}, "tool_calls")],
    "a broken tool call": [ROLE, chunk(call(0, "look", '{"q": ', "call_1")), chunk({}, "tool_calls")],
    "text and a tool call at once": [chunk({"content": "I look. ", **call(0, "look", "{}", "call_1")}), STOP],
    "function call": [ROLE, chunk({"function_call": {"name": "look", "arguments": "{}"}}), STOP],
    "logprobs": [
        chunk(choices=[{"index": 0, "delta": {"content": "a"}, "finish_reason": None, "logprobs": LOGPROBS}]), *WORDS, STOP,
    ],
    "service tier": [ROLE, *WORDS, chunk({}, "stop", service_tier="default"), chunk(choices=[], usage=USAGE, service_tier="default")],
    "members missing": [{"choices": [{"delta": {"content": "x"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}],
    "asynchronous filter": [ROLE, *WORDS, chunk(choices=[{"index": 0, "finish_reason": None, "content_filter_offsets": {"end_offset": 9}, "delta": {}}]), STOP],
    "delta null": [ROLE, *WORDS, chunk(choices=[{"index": 0, "delta": None, "finish_reason": None}]), STOP],
    "two choices": [chunk(choices=[{"index": n, "delta": {"content": str(n)}, "finish_reason": None} for n in (0, 1)]), STOP],
    "half a surrogate pair": ['{"choices": [{"index": 0, "delta": {"content": "\\ud83d"}, "finish_reason": null}]}', STOP],
    "not a number": ['{"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": null}], "took": NaN}', STOP],
    "text behind the end": [ROLE, STOP, chunk({"content": "late"})],
}  # fmt: skip
BROKEN: dict[str, list[Any]] = {
    "no finish reason": [ROLE, *WORDS],
    "nothing": [],
    "error object": [ROLE, *WORDS, {"error": {"message": "It broke.", "code": "server_error"}}],
    "error of the filter": [ROLE, *WORDS, {"error": {"message": "No.", "code": "content_filter"}}],
    "error without words": [ROLE, {"error": {"message": None}}],
    "error text": [ROLE, *WORDS, {"error": "It broke."}],
    "no JSON": [ROLE, *WORDS, '{"id": "chatcmpl-'],
}


class Scripted(LoopbackServer):
    """Sends the given bytes, a piece at a time."""

    pieces: list[bytes]
    headers: Mapping[str, str] = {}

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        await reply.start(200, {"content-type": "text/event-stream", **self.headers})
        for piece in self.pieces:
            await reply.part(piece)
            await asyncio.sleep(0)
        await reply.end()


def frames(chunks: Sequence[Any], end: bytes = b"\n", done: bool = True) -> bytes:
    texts = [c if isinstance(c, str) else json.dumps(c, ensure_ascii=False) for c in chunks] + ["[DONE]"] * done
    return b"".join(b"data: " + text.encode(errors="surrogatepass") + end + end for text in texts)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


@asynccontextmanager
async def model_at(url: str, version: str, key: str = "k", patience: float = 10) -> AsyncIterator[DirectAnswers]:
    model = azure(url, version, key, patience, retries=2)
    assert isinstance(model, DirectAnswers)
    async with closing(model):
        yield model


def parts_of(message: Any) -> dict[str, Any]:
    names = ("content", "additional_kwargs", "response_metadata", "tool_calls", "invalid_tool_calls", "usage_metadata")
    return {name: getattr(message, name) for name in names}


async def the_librarys(model: DirectAnswers) -> tuple[str, dict[str, Any] | tuple[Any, ...]]:
    text, whole = "", None
    try:
        async for piece in model.astream(QUESTION):
            assert isinstance(piece, AIMessageChunk)
            text += str(piece.text)
            whole = piece if whole is None else whole + piece
    except Exception as error:
        return text, _failure(error)
    assert whole is not None
    return text, parts_of(message_chunk_to_message(whole))


async def ours(model: DirectAnswers) -> tuple[str, dict[str, Any] | tuple[Any, ...]]:
    texts: list[str] = []
    try:
        message = await model.write(lambda: QUESTION, texts.append)
    except Exception as error:
        return "".join(texts), _failure(error)
    return "".join(texts), parts_of(message)


def _failure(error: Exception) -> tuple[Any, ...]:
    explained = model_error(error)
    return (type(explained), explained.message) if explained else (type(error), str(error))


def cuts(stream: bytes) -> list[list[bytes]]:
    """At once, event by event, and in pieces that cut letters and line ends."""
    by_event = [part + b"\n\n" for part in stream.split(b"\n\n") if part]
    return [[stream], by_event, *[[stream[n : n + size] for n in range(0, len(stream), size)] for size in (3, 50, 701)]]


@pytest.mark.parametrize("version", ["2024-10-21", "v1"])
@pytest.mark.parametrize("name", [*WHOLE, *BROKEN])
async def test_what_is_written_is_what_the_library_makes_of_it(scripted: Scripted, name: str, version: str) -> None:
    chunks = WHOLE.get(name, BROKEN.get(name))
    assert chunks is not None
    async with model_at(scripted.url, version) as model:
        for stream in (frames(chunks), frames(chunks, b"\r\n"), b": hello\n\n" + frames(chunks, done=False)):
            scripted.pieces = [stream]
            expected = await the_librarys(model)
            assert isinstance(expected[1], dict) is (name in WHOLE), expected
            for scripted.pieces in cuts(stream) if version == "v1" else [[stream]]:
                assert await ours(model) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"[1, 2]",
        b"7",
        b'"text"',
        b"null",
        b'{"choices": 5}',
        b'{"choices": [7]}',
        b'{"choices": [{"delta": 7}]}',
        b'{"choices": [{"delta": {"role": 7, "tool_calls": 7}}]}',
        b'{"usage": {"prompt_tokens": "many"}, "choices": []}',
        b'{"choices": [{"delta": {"content": "\xff"}}]}',
        b"[" * 100_000,
        b"<html>",
        b"x" * (LONGEST_EVENT + 1_000_000),
    ],
    ids=lambda data: repr(data[:40]),
)
async def test_what_no_model_says_ends_the_answer(scripted: Scripted, data: bytes) -> None:
    scripted.pieces = [frames([ROLE, *WORDS], done=False), b"data: " + data, b"\n\n", frames([STOP])]
    texts: list[str] = []
    async with model_at(scripted.url, "v1") as model:
        with pytest.raises(Exception, match=r".") as caught:
            await model.write(lambda: QUESTION, texts.append)
    error = model_error(caught.value)
    assert isinstance(error, ModelUnavailable)
    assert "broke off" in error.message
    assert "".join(texts) == "Nano costs — 9 € 😀 [1]."


async def test_an_answer_without_an_end_is_left(scripted: Scripted) -> None:
    scripted.pieces = [b"data: " + json.dumps(chunk({"reasoning_content": "x" * 500_000})).encode() + b"\n\n"] * 100
    async with model_at(scripted.url, "v1") as model:
        with pytest.raises(EventTooLongError):
            await model.write(lambda: QUESTION, lambda text: None)
    exchange = scripted.requests[-1]
    assert await asyncio.to_thread(exchange.ended.wait, 5)
    assert exchange.aborted


@pytest.mark.parametrize("version", ["2024-10-21", "2023-05-15", "v1"])
@pytest.mark.parametrize(
    "messages",
    [
        [HumanMessage("How much — is nano? \u2028 \"quoted\" 😀")],
        [SystemMessage("Be brief."), HumanMessage("a"), AIMessage("b"), HumanMessage("c", additional_kwargs={"evidence": 1})],
        [SystemMessage("x", name="rules"), HumanMessage([{"type": "text", "text": "in parts"}])],
        [HumanMessage("a"), AIMessage("", tool_calls=[{"name": "look", "args": {"q": 1}, "id": "1"}]), ToolMessage("7", tool_call_id="1")],
    ],
    ids=["one", "conversation", "not only texts", "tools"],
)  # fmt: skip
async def test_a_request_goes_out_as_the_library_sends_it(
    scripted: Scripted, messages: list[BaseMessage], version: str
) -> None:
    scripted.pieces = [frames(WHOLE["plain"])]
    settings = {"temperature": 0.5, "max_tokens": 100, "seed": 1, "model_kwargs": {"logit_bias": {"1": 2}}}
    async with model_at(scripted.url, version) as model:
        for changed in ({}, dict(list(settings.items())[:3]), settings):
            for name, value in changed.items():
                setattr(model, name, value)
            async for _ in model.astream(messages):
                pass
            await model.write(lambda: messages, lambda text: None)
            expected, sent = scripted.requests[-2:]
            assert (sent.path, sent.query, sent.body) == (expected.path, expected.query, expected.body)
            assert sent.headers == expected.headers


async def test_an_answer_that_comes_packed_is_unpacked(scripted: Scripted) -> None:
    scripted.headers = {"content-encoding": "gzip"}
    scripted.pieces = [gzip.compress(frames(WHOLE["azure"]))]
    async with model_at(scripted.url, "v1") as model:
        assert (await ours(model))[0] == "Nano costs — 9 € 😀 [1]."


async def test_nobody_listening_is_no_lateness() -> None:
    with Scripted() as stopped:
        url = stopped.url
    async with model_at(url, "v1") as model:
        with pytest.raises(Exception, match=r".") as caught:
            await model.write(lambda: QUESTION, lambda text: None)
    error = model_error(caught.value)
    assert error is not None
    assert "cannot be reached" in error.message


async def test_a_tool_call_that_streams_is_whole_in_the_message(scripted: Scripted) -> None:
    scripted.pieces = [frames(WHOLE["tool calls"])]
    async with model_at(scripted.url, "v1") as model:
        message = await model.write(lambda: QUESTION, lambda text: None)
    assert [(c["name"], c["args"], c["id"]) for c in message.tool_calls] == [
        ("look", {"q": "é"}, "call_1"),
        ("see", {}, "call_2"),
    ]


@pytest.mark.parametrize("name", WHOLE)
async def test_who_listens_hears_of_the_call_and_changes_nothing(scripted: Scripted, name: str) -> None:
    scripted.pieces = [frames(WHOLE[name])]
    async with model_at(scripted.url, "v1") as model:
        unheard = await ours(model)
        with collect_runs() as heard:
            assert await ours(model) == unheard
    assert [run.run_type for run in heard.traced_runs] == ["llm"]
    unheard_body, heard_body = [exchange.body for exchange in scripted.requests[-2:]]
    assert unheard_body == heard_body


async def test_an_answer_that_is_cached_is_not_asked_for_again(scripted: Scripted) -> None:
    scripted.pieces = [frames(WHOLE["plain"])]
    async with model_at(scripted.url, "v1") as model:
        model.cache = InMemoryCache()
        first, again = await ours(model), await ours(model)
        assert first[0] == again[0]
    assert len(scripted.requests) == 1


async def test_text_that_comes_together_is_sunk_together(scripted: Scripted) -> None:
    scripted.pieces = [frames(WHOLE["azure"])]
    texts: list[str] = []
    async with model_at(scripted.url, "v1") as model:
        await model.write(lambda: QUESTION, texts.append)
    assert texts == ["Nano costs — 9 € 😀 [1]."]


async def test_what_the_sink_raises_ends_the_answer(scripted: Scripted) -> None:
    def full(text: str) -> None:
        raise ModelUnavailable("Too long.")

    scripted.pieces = [frames(WHOLE["azure"])]
    async with model_at(scripted.url, "v1") as model:
        with pytest.raises(ModelUnavailable, match="Too long"):
            await model.write(lambda: QUESTION, full)


async def test_streams_that_came_to_their_end_share_a_connection(scripted: Scripted) -> None:
    scripted.pieces = [frames(WHOLE["azure"])]
    async with model_at(scripted.url, "v1") as model:
        for _ in range(4):
            await model.write(lambda: QUESTION, lambda text: None)
    clients = {exchange.client for exchange in scripted.requests[-4:]}
    assert len(clients) == 1


# ---------------------------------------------------------------- the service's faults


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        server.otherwise = ANSWER
        yield server


async def outcome(upstream: AzureOpenAIStandIn, patience: float = 10) -> tuple[str, AIMessage | DeskError | None]:
    texts: list[str] = []
    async with model_at(upstream.url, "2024-10-21", upstream.key, patience) as model:
        try:
            message = await model.write(lambda: QUESTION, texts.append)
        except Exception as error:
            return "".join(texts), model_error(error)
    return "".join(texts), message


async def test_reads_without_text_are_signs_of_life(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=0))
    texts: list[str] = []
    async with model_at(upstream.url, "2024-10-21", upstream.key) as model:
        task = asyncio.create_task(model.write(lambda: QUESTION, texts.append))
        while not texts and not task.done():
            await asyncio.sleep(0)
        assert texts[0] == ""
        upstream.release()
        await task
    assert "".join(texts) == ANSWER


@pytest.mark.parametrize("fault", [Reset(2), CutShort(2), Malformed(2), ErrorInStream(2)], ids=repr)
async def test_an_answer_that_breaks_keeps_what_came(upstream: AzureOpenAIStandIn, fault: Any) -> None:
    upstream.script(fault)
    text, error = await outcome(upstream)
    assert (text, type(error)) == ("The nano ", ModelUnavailable)
    assert (await outcome(upstream))[0] == ANSWER


async def test_silence_ends_within_its_patience(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=2))
    text, error = await outcome(upstream, patience=0.3)
    assert text == "The nano "
    assert isinstance(error, ModelUnavailable)
    assert "too long" in error.message


async def test_refusals_are_tried_again_and_explained(upstream: AzureOpenAIStandIn) -> None:
    busy = Refuse(429, headers={"retry-after-ms": "1"})
    upstream.script(*[busy] * RETRIES)
    assert (await outcome(upstream))[0] == ANSWER
    upstream.script(*[busy] * (1 + RETRIES))
    assert type((await outcome(upstream))[1]) is ModelUnavailable
    upstream.script(FilterPrompt())
    assert type((await outcome(upstream))[1]) is ContentFiltered


async def test_an_answer_that_the_filter_ends_says_so(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(FilterAnswer(after=3))
    text, message = await outcome(upstream)
    assert isinstance(message, AIMessage)
    assert (text, message.response_metadata["finish_reason"]) == ("The nano plan ", "content_filter")


async def test_stopping_closes_the_request_upstream(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=2))
    async with model_at(upstream.url, "2024-10-21", upstream.key) as model:
        task = asyncio.create_task(model.write(lambda: QUESTION, lambda text: None))
        await asyncio.to_thread(upstream.wait_for_hang)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [request] = upstream.requests
        assert await asyncio.to_thread(request.ended.wait, 5)
        assert request.aborted


async def test_many_answers_at_once_stay_apart(upstream: AzureOpenAIStandIn) -> None:
    upstream.otherwise = lambda messages: f"You asked: {messages[-1]['content']}."

    async def ask(model: DirectAnswers, question: str) -> str:
        texts: list[str] = []
        await model.write(lambda: [HumanMessage(question)], texts.append)
        return "".join(texts)

    async with model_at(upstream.url, "2024-10-21", upstream.key) as model:
        answers = await asyncio.gather(*(ask(model, f"number {n}") for n in range(30)))
    assert answers == [f"You asked: number {n}." for n in range(30)]


async def test_the_workflow_knows_the_model_by_what_it_can(upstream: AzureOpenAIStandIn) -> None:
    async with model_at(upstream.url, "v1") as model:
        assert isinstance(model, DirectModel)
    assert not isinstance(FakeListChatModel(responses=["x"]), DirectModel)
