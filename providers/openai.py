"""Answer models on any server that speaks OpenAI's chat completions, and the connection that all of them use."""

from collections.abc import Mapping
from typing import Any

import httpcore2  # noqa: F401 – httpx2 loads it with its first client, which may be in the middle of anything
import httpx2
from langchain_core.language_models import BaseChatModel
from openai import DefaultAioHttpClient
from pydantic import SecretStr

from providers.direct_answers import DirectChatOpenAI
from settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
MARGIN = 5.0
"""Seconds by which a connection is more patient than a turn, so that it is the turn that ends a silence and names it."""
CONNECT_PATIENCE = 5.0
RETRIES = 2
"""Further attempts after a request that failed before its answer began; the SDK honours Retry-After."""


def openai_model(settings: Settings, *, patience: float | None = None) -> BaseChatModel:
    """The model named by OPENAI_MODEL, at OPENAI_BASE_URL. It belongs to one event loop; end it with `close_model`.
    `patience` is how long the server may stay silent, in seconds; by default a little longer than turns wait. Raises ValueError when OPENAI_MODEL is not set."""
    if settings.openai_model is None:
        raise ValueError("OPENAI_MODEL is not set")
    # The SDK insists on a key; servers without accounts ignore what they are sent.
    key = settings.openai_api_key or SecretStr("none")
    patience = patience or default_patience(settings)
    return completions_model(settings.openai_base_url or OPENAI_URL, settings.openai_model, key, patience=patience)


def default_patience(settings: Settings) -> float:
    return max(settings.turn_first_token_seconds, settings.turn_silence_seconds) + MARGIN


def completions_model(
    base_url: str, model: str, key: SecretStr, *, patience: float, query: Mapping[str, str] | None = None
) -> BaseChatModel:
    """`base_url` ends before `/chat/completions`; `query` goes with every request."""
    return DirectChatOpenAI(
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
