"""Azure OpenAI through LangChain and the real SDK, against a stand-in on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from domain.errors import ContentFiltered, DeskError, ModelUnavailable
from providers.azure_openai import azure_openai_model
from providers.model_errors import FILTERED, model_error
from providers.openai import close_model
from settings import Settings
from tests.standins.azure_openai import AzureOpenAIStandIn, Fault
from tests.standins.faults import (
    CutShort,
    ErrorInStream,
    FilterAnswer,
    FilterPrompt,
    Hang,
    Malformed,
    Refuse,
    Reset,
)

OLD, DATED, V1 = "2023-05-15", "2024-10-21", "v1"
QUESTION: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("How much is nano?")]
RETRIES = 2
ANSWER = "The nano plan is $9 a month [1].\nIt has one seat — ✓."
AT_ONCE = {"retry-after-ms": "1"}
PATIENCE = 0.3


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        yield server


def settings_for(upstream: AzureOpenAIStandIn, version: str, **changes: Any) -> Settings:
    settings: dict[str, Any] = {
        "azure_openai_api_key": upstream.key,
        "azure_openai_deployment": upstream.deployment,
        "azure_openai_endpoint": upstream.url,
        "azure_openai_api_version": version,
    }
    return Settings(_env_file=None, **(settings | changes))


@asynccontextmanager
async def model_of(
    upstream: AzureOpenAIStandIn, version: str = DATED, patience: float = 10, **changes: Any
) -> AsyncIterator[BaseChatModel]:
    model = azure_openai_model(settings_for(upstream, version, **changes), patience=patience)
    try:
        yield model
    finally:
        await close_model(model)


async def stream(model: BaseChatModel) -> list[AIMessageChunk]:
    return [chunk async for chunk in model.astream(QUESTION) if isinstance(chunk, AIMessageChunk)]


async def failure(model: BaseChatModel) -> tuple[str, DeskError | None]:
    """What was written before the stream failed, and what the failure is to a person."""
    text = ""
    try:
        async for chunk in model.astream(QUESTION):
            text += str(chunk.text)
    except Exception as error:
        return text, model_error(error)
    raise AssertionError("the stream did not fail")


@pytest.mark.parametrize(("version", "counted"), [(OLD, False), (DATED, True), (V1, True), ("preview", True)])
async def test_streams_the_answer_piece_by_piece(upstream: AzureOpenAIStandIn, version: str, counted: bool) -> None:
    upstream.script(ANSWER)
    async with model_of(upstream, version) as model:
        chunks = await stream(model)

    assert [str(chunk.text) for chunk in chunks if chunk.text][:3] == ["The ", "nano ", "plan "]
    assert "".join(str(chunk.text) for chunk in chunks) == ANSWER
    assert [c.response_metadata["finish_reason"] for c in chunks if "finish_reason" in c.response_metadata] == ["stop"]
    usages = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert [(u["input_tokens"], u["output_tokens"]) for u in usages] == ([(6, 14)] if counted else [])
    [request] = upstream.requests
    assert ("stream_options" in request.body) is counted
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("version", "path", "query"),
    [
        (OLD, "/openai/deployments/gpt-4o/chat/completions", {"api-version": OLD}),
        ("2024-08-01-preview", "/openai/deployments/gpt-4o/chat/completions", {"api-version": "2024-08-01-preview"}),
        (V1, "/openai/v1/chat/completions", {}),
        ("preview", "/openai/v1/chat/completions", {"api-version": "preview"}),
    ],
)
@pytest.mark.parametrize("ending", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
async def test_every_form_of_the_endpoint_reaches_the_deployment(
    upstream: AzureOpenAIStandIn, version: str, path: str, query: dict[str, str], ending: str
) -> None:
    async with model_of(upstream, version, azure_openai_endpoint=upstream.url + ending) as model:
        await stream(model)
    assert [(request.path, request.query) for request in upstream.requests] == [(path, query)]


async def test_answers_without_streaming(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(ANSWER)
    async with model_of(upstream) as model:
        message = await model.ainvoke(QUESTION)
    assert message.text == ANSWER
    usage = message.usage_metadata
    assert usage is not None
    assert (usage["input_tokens"], usage["output_tokens"]) == (6, 14)


def test_an_api_version_of_no_known_form_is_refused(upstream: AzureOpenAIStandIn) -> None:
    with pytest.raises(ValueError, match="AZURE_OPENAI_API_VERSION=v2 "):
        azure_openai_model(settings_for(upstream, "v2"))


async def test_a_variable_of_the_sdk_does_not_replace_the_settings(
    upstream: AzureOpenAIStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_OPENAI_AD_TOKEN", "OPENAI_API_BASE", "OPENAI_PROXY", "OPENAI_API_VERSION"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/nowhere")
    for version in (DATED, V1):
        async with model_of(upstream, version) as model:
            await stream(model)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("version", [DATED, V1])
@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_passing_refusal_is_tried_again(upstream: AzureOpenAIStandIn, version: str, status: int) -> None:
    upstream.script(*[Refuse(status, headers=AT_ONCE)] * RETRIES, ANSWER)
    async with model_of(upstream, version) as model:
        chunks = await stream(model)
    assert "".join(str(chunk.text) for chunk in chunks) == ANSWER
    assert len(upstream.requests) == 1 + RETRIES


@pytest.mark.parametrize("version", [DATED, V1])
@pytest.mark.parametrize(
    ("status", "attempts", "message"),
    [
        (400, 1, "does not take this request"),
        (401, 1, "refuses this server's credentials"),
        (403, 1, "refuses this server's credentials"),
        (404, 1, "does not exist"),
        (429, 1 + RETRIES, "is busy"),
        (500, 1 + RETRIES, "cannot be reached"),
        (503, 1 + RETRIES, "cannot be reached"),
    ],
)
async def test_a_lasting_refusal_makes_the_model_unavailable(
    upstream: AzureOpenAIStandIn, version: str, status: int, attempts: int, message: str
) -> None:
    upstream.script(*[Refuse(status, headers={**AT_ONCE, "retry-after": "7"})] * attempts)
    async with model_of(upstream, version) as model:
        text, error = await failure(model)
    assert isinstance(error, ModelUnavailable)
    assert (text, error.details) == ("", {"retry_after": 7})
    assert message in error.message
    assert upstream.key not in repr(vars(error))
    assert len(upstream.requests) == attempts


async def test_a_wrong_key_and_a_wrong_deployment_are_the_operators_to_mend(upstream: AzureOpenAIStandIn) -> None:
    mistakes: list[dict[str, Any]] = [{"azure_openai_api_key": "wrong"}, {"azure_openai_deployment": "gpt-9"}]
    for changes in mistakes:
        for version in (DATED, V1):
            async with model_of(upstream, version, **changes) as model:
                _, error = await failure(model)
            assert isinstance(error, ModelUnavailable)
    assert [request.status for request in upstream.requests] == [401, 401, 404, 404]


@pytest.mark.parametrize("version", [OLD, DATED, V1])
async def test_a_refused_question_is_content_filtered(upstream: AzureOpenAIStandIn, version: str) -> None:
    upstream.script(FilterPrompt())
    async with model_of(upstream, version) as model:
        text, error = await failure(model)
    assert (text, type(error)) == ("", ContentFiltered)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("version", [OLD, DATED, V1])
async def test_an_answer_that_the_filter_ends_says_so_in_its_last_chunk(
    upstream: AzureOpenAIStandIn, version: str
) -> None:
    upstream.script(FilterAnswer(after=3))
    upstream.otherwise = ANSWER
    async with model_of(upstream, version) as model:
        chunks = await stream(model)
    assert "".join(str(chunk.text) for chunk in chunks) == "The nano plan "
    reasons = [c.response_metadata["finish_reason"] for c in chunks if "finish_reason" in c.response_metadata]
    assert reasons == [FILTERED]


async def test_a_filtered_answer_without_streaming_is_content_filtered(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(FilterAnswer())
    async with model_of(upstream) as model:
        with pytest.raises(ValueError, match="content filter") as caught:
            await model.ainvoke(QUESTION)
    assert isinstance(model_error(caught.value), ContentFiltered)


@pytest.mark.parametrize("version", [DATED, V1])
@pytest.mark.parametrize(
    "fault", [Reset(after=2), CutShort(after=2), Malformed(after=2), ErrorInStream(after=2)], ids=repr
)
async def test_an_answer_that_breaks_keeps_what_came(upstream: AzureOpenAIStandIn, version: str, fault: Fault) -> None:
    upstream.otherwise = ANSWER
    upstream.script(fault)
    async with model_of(upstream, version) as model:
        text, error = await failure(model)
        assert (text, type(error)) == ("The nano ", ModelUnavailable)
        assert "".join([str(chunk.text) for chunk in await stream(model)]) == ANSWER
    assert len(upstream.requests) == 2


async def test_an_error_among_the_chunks_can_be_the_content_filter(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(ErrorInStream(code="content_filter"))
    async with model_of(upstream) as model:
        _, error = await failure(model)
    assert isinstance(error, ContentFiltered)


async def test_a_connection_that_drops_before_the_answer_is_tried_again(upstream: AzureOpenAIStandIn) -> None:
    upstream.otherwise = ANSWER
    upstream.script(Reset())
    async with model_of(upstream) as model:
        assert "".join([str(chunk.text) for chunk in await stream(model)]) == ANSWER
    assert len(upstream.requests) == 2


async def test_nobody_listening_makes_the_model_unavailable() -> None:
    with AzureOpenAIStandIn() as stopped:
        settings = settings_for(stopped, DATED)
    model = azure_openai_model(settings)
    try:
        _, error = await failure(model)
    finally:
        await close_model(model)
    assert isinstance(error, ModelUnavailable)


@pytest.mark.parametrize("version", [DATED, V1])
async def test_silence_ends_within_its_patience(upstream: AzureOpenAIStandIn, version: str) -> None:
    upstream.otherwise = ANSWER
    upstream.script(Hang(after=2), *[Hang()] * (1 + RETRIES))
    async with model_of(upstream, version, patience=PATIENCE) as model:
        text, error = await failure(model)
        assert (text, type(error)) == ("The nano ", ModelUnavailable)
        text, error = await failure(model)
        assert (text, type(error)) == ("", ModelUnavailable)
    assert error is not None
    assert "too long" in error.message


async def test_stopping_closes_the_request_upstream(upstream: AzureOpenAIStandIn) -> None:
    upstream.otherwise = ANSWER
    upstream.script(Hang(after=2))
    async with model_of(upstream) as model:
        task = asyncio.create_task(stream(model))
        await asyncio.to_thread(upstream.wait_for_hang)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [request] = upstream.requests
        assert await asyncio.to_thread(request.ended.wait, 5)
        assert request.aborted


async def test_an_answer_is_read_as_it_is_written(upstream: AzureOpenAIStandIn) -> None:
    upstream.otherwise = ANSWER
    upstream.script(Hang(after=2))
    async with model_of(upstream) as model, aclosing(model.astream(QUESTION)) as chunks:  # type: ignore[type-var]
        text = ""
        while text != "The nano ":
            text += str((await anext(chunks)).text)
        upstream.release()
        assert text + "".join([str(chunk.text) async for chunk in chunks]) == ANSWER


async def test_many_answers_at_once_stay_apart(upstream: AzureOpenAIStandIn) -> None:
    upstream.otherwise = lambda messages: f"You asked: {messages[-1]['content']}."

    async def ask(model: BaseChatModel, question: str) -> str:
        return "".join([str(chunk.text) async for chunk in model.astream([HumanMessage(question)])])

    async with model_of(upstream) as model:
        answers = await asyncio.gather(*(ask(model, f"number {n}") for n in range(30)))
    assert answers == [f"You asked: number {n}." for n in range(30)]


@pytest.mark.parametrize("error", [ValueError("Bug."), KeyError("x"), RuntimeError()])
def test_what_is_not_the_models_doing_stays_what_it_is(error: Exception) -> None:
    assert model_error(error) is None
