"""Models whose requests are made like those before them, and a server that answers them all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from providers.azure_openai import azure_openai_model
from providers.direct_answers import DirectAnswers, DirectAzureChatOpenAI
from providers.openai import close_model, completions_model, connection
from settings import Settings
from tests.standins.loopback import Exchange, LoopbackServer, Reply

QUESTION: list[BaseMessage] = [HumanMessage("How much is nano?")]
RETRIES = 1
NEEDED = 2
"""Requests of the SDK's before one is made like them."""


class Answering(LoopbackServer):
    """Whoever asks, however. With `cookies`, each time with another one."""

    cookies = False

    async def answer(self, exchange: Exchange, reply: Reply) -> None:
        cookie = {"set-cookie": f"seen={len(self.requests)}; Path=/"} if self.cookies else {}
        await reply.start(200, {"content-type": "text/event-stream", **cookie})
        for delta, finish in (({"role": "assistant", "content": "Nine."}, None), ({}, "stop")):
            await reply.event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        await reply.event("[DONE]")
        await reply.end()


def azure(
    url: str, version: str = "2024-10-21", key: str = "k", patience: float = 10, retries: int = RETRIES
) -> DirectAnswers:
    settings = Settings(
        _env_file=None,
        azure_openai_api_key=key,
        azure_openai_deployment="gpt-4o",
        azure_openai_endpoint=url,
        azure_openai_api_version=version,
        model_retries=retries,
    )
    return azure_openai_model(settings, patience=patience)


def dated_with(url: str, token: Callable[[], Awaitable[str]]) -> DirectAnswers:
    return DirectAzureChatOpenAI(
        azure_endpoint=url,
        azure_deployment="gpt-4o",
        api_version="2024-10-21",
        azure_ad_async_token_provider=token,
        **connection(10, RETRIES),
    )


def undated_with(url: str, token: Callable[[], Awaitable[str]]) -> DirectAnswers:
    return completions_model(f"{url}/openai/v1/", "gpt-4o", token, connection(10, RETRIES))


@asynccontextmanager
async def closing(*models: DirectAnswers) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for model in models:
            await close_model(model)


async def write(model: DirectAnswers, messages: list[BaseMessage] = QUESTION) -> str:
    return str((await model.write(lambda: messages, lambda text: None)).text)


async def warm(model: DirectAnswers, made: Callable[[], int]) -> None:
    """Until its requests are made like those before."""
    for _ in range(NEEDED):
        await write(model)
    assert made() == NEEDED
    await write(model)
    assert made() == 0


def hooks_of(model: DirectAnswers) -> dict[str, list[Any]]:
    """Of its connections."""
    client = model.http_async_client
    assert client is not None
    return client.event_hooks  # type: ignore[no-any-return]
