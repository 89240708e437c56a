"""Answer models on any server that speaks OpenAI's chat completions, and the connection that all of them use."""

from collections.abc import Mapping
from typing import Any

import httpx2
from langchain_core.language_models import BaseChatModel
from openai import DefaultAioHttpClient
from pydantic import SecretStr

from providers.whole_answers import WholeChatOpenAI
from settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
PATIENCE = 30.0
"""Seconds that a server may stay silent, before the answer and between two pieces of it."""
CONNECT_PATIENCE = 5.0
RETRIES = 2
"""Further attempts after a request that failed before its answer began; the SDK honours Retry-After."""


def openai_model(settings: Settings, *, patience: float = PATIENCE) -> BaseChatModel:
    """The model named by OPENAI_MODEL, at OPENAI_BASE_URL. It belongs to one event loop; end it with `close_model`.
    Raises ValueError when OPENAI_MODEL is not set."""
    if settings.openai_model is None:
        raise ValueError("OPENAI_MODEL is not set")
    # The SDK insists on a key; servers without accounts ignore what they are sent.
    key = settings.openai_api_key or SecretStr("none")
    return completions_model(settings.openai_base_url or OPENAI_URL, settings.openai_model, key, patience=patience)


def completions_model(
    base_url: str, model: str, key: SecretStr, *, patience: float, query: Mapping[str, str] | None = None
) -> BaseChatModel:
    """`base_url` ends before `/chat/completions`; `query` goes with every request."""
    return WholeChatOpenAI(
        base_url=base_url,
        model=model,
        api_key=key,
        default_query=query,
        stream_usage=True,
        **connection(patience),
    )


def connection(patience: float) -> dict[str, Any]:
    """The keyword arguments that each of langchain-openai's chat models is connected with."""
    return {
        "http_async_client": DefaultAioHttpClient(),
        "timeout": httpx2.Timeout(patience, connect=min(CONNECT_PATIENCE, patience)),
        "max_retries": RETRIES,
        "use_responses_api": False,
        # LangChain's own chunk timeout waits with asyncio.wait_for, which on Python 3.11 can lose the cancellation
        # that stops a turn; the HTTP client's read timeout bounds the same silence.
        "stream_chunk_timeout": None,
        # Otherwise read from the environment, which is for settings.py alone to do.
        "openai_proxy": None,
    }


async def close_model(model: BaseChatModel) -> None:
    """Closes the connections of a model of this package; others have none."""
    client = getattr(model, "root_async_client", None)
    if client is not None:
        await client.close()
