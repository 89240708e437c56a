"""Any OpenAI-compatible server, against the stand-in's plain /v1 address."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage

from domain.errors import ModelUnavailable
from providers.model_errors import model_error
from providers.openai import OPENAI_URL, close_model, openai_model
from settings import Settings
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Refuse


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        yield server


def settings_with(**values: Any) -> Settings:
    return Settings(_env_file=None, openai_model="llama-3", **values)


@pytest.mark.parametrize(("key", "sent"), [(None, "Bearer none"), ("sk-local", "Bearer sk-local")])
async def test_streams_text_and_usage(upstream: AzureOpenAIStandIn, key: str | None, sent: str) -> None:
    upstream.script("Nine dollars [1].")
    model = openai_model(settings_with(openai_base_url=f"{upstream.url}/v1", openai_api_key=key))
    try:
        chunks = [chunk async for chunk in model.astream([HumanMessage("How much?")])]
    finally:
        await close_model(model)
    assert "".join(str(chunk.text) for chunk in chunks) == "Nine dollars [1]."
    usages = [c.usage_metadata for c in chunks if isinstance(c, AIMessageChunk) and c.usage_metadata]
    assert [(usage["input_tokens"], usage["output_tokens"]) for usage in usages] == [(2, 3)]
    [request] = upstream.requests
    assert (request.path, request.body["model"]) == ("/v1/chat/completions", "llama-3")
    assert request.headers["authorization"] == sent


async def test_a_failing_server_makes_the_model_unavailable(upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Refuse(404))
    model = openai_model(settings_with(openai_base_url=f"{upstream.url}/v1"))
    try:
        with pytest.raises(Exception, match="404") as caught:
            await model.ainvoke([HumanMessage("How much?")])
    finally:
        await close_model(model)
    assert isinstance(caught.value, Exception)
    assert isinstance(model_error(caught.value), ModelUnavailable)


async def test_a_key_alone_means_openai_itself() -> None:
    model = openai_model(settings_with(openai_api_key="sk-real"))
    try:
        assert getattr(model, "openai_api_base", None) == OPENAI_URL
    finally:
        await close_model(model)


def test_without_a_model_there_is_nothing_to_build() -> None:
    with pytest.raises(ValueError, match="OPENAI_MODEL"):
        openai_model(Settings(_env_file=None))
