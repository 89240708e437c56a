"""Answer models on any server that speaks OpenAI's chat completions, embedding models likewise, and the connections that
all of them use."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpcore2  # noqa: F401 – httpx2 loads it with its first client, which may be in the middle of anything
import httpx2
from langchain_core.language_models import BaseChatModel
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic import SecretStr

from providers.direct_answers import DirectAnswers, DirectChatOpenAI
from providers.embedding_models import DeployedEmbeddings
from providers.prepared_requests import RememberingClient
from providers.retry_after import wait_within_deadline
from settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
MARGIN = 5.0
"""Seconds by which a connection is more patient than a turn, so that it is the turn that ends a silence and names it."""
CONNECT_PATIENCE = 5.0
EMBEDDING_PATIENCE = 30.0
"""Seconds for the vectors of one batch of texts."""


def openai_model(settings: Settings, *, patience: float | None = None) -> DirectAnswers:
    """The model named by OPENAI_MODEL, at OPENAI_BASE_URL. It belongs to one event loop; end it with `close_model`.
    `patience` is how long the server may stay silent, in seconds; by default a little longer than turns wait. Raises ValueError when OPENAI_MODEL is not set."""
    if settings.openai_model is None:
        raise ValueError("OPENAI_MODEL is not set")
    # The SDK insists on a key; servers without accounts ignore what they are sent.
    key = settings.openai_api_key or SecretStr("none")
    patience = patience or default_patience(settings)
    base = settings.openai_base_url or OPENAI_URL
    return completions_model(base, settings.openai_model, key, connection(patience, settings.model_retries))


def openai_embeddings(settings: Settings) -> DeployedEmbeddings:
    """The model named by OPENAI_EMBEDDING_MODEL, at OPENAI_BASE_URL. It belongs to one event loop; end it with `close`.
    Raises ValueError when it is not set."""
    if settings.openai_embedding_model is None:
        raise ValueError("OPENAI_EMBEDDING_MODEL is not set")
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
    base = settings.openai_base_url or OPENAI_URL
    client = AsyncOpenAI(base_url=base, api_key=key, **embeddings_connection(settings.model_retries))
    return DeployedEmbeddings(client, settings.openai_embedding_model)


def default_patience(settings: Settings) -> float:
    return max(settings.turn_first_token_seconds, settings.turn_silence_seconds) + MARGIN


def completions_model(
    base_url: str,
    model: str,
    key: SecretStr | Callable[[], Awaitable[str]],
    connected: Mapping[str, Any],
    query: Mapping[str, str] | None = None,
) -> DirectAnswers:
    """`base_url` ends before `/chat/completions`; a `key` that may change is a coroutine function, called for every
    request; `connected` is of `connection`; `query` goes with every request."""
    return DirectChatOpenAI(
        base_url=base_url,
        model=model,
        api_key=key,
        default_query=query,
        stream_usage=True,
        **connected,
    )


def connection(patience: float, retries: int) -> dict[str, Any]:
    """The keyword arguments that each of langchain-openai's chat models is connected with. `retries` are further
    attempts after a request that failed before its answer began; the SDK honours Retry-After, within the turn's
    patience."""
    return {
        "http_async_client": RememberingClient(event_hooks={"response": [wait_within_deadline]}),
        "timeout": httpx2.Timeout(patience, connect=min(CONNECT_PATIENCE, patience)),
        "max_retries": retries,
        "use_responses_api": False,
        # LangChain's own chunk timeout waits with asyncio.wait_for, which on Python 3.11 can lose the cancellation
        # that stops a turn; the HTTP client's read timeout bounds the same silence.
        "stream_chunk_timeout": None,
        # Otherwise read from the environment, which is for settings.py alone to do.
        "openai_proxy": None,
    }


def embeddings_connection(retries: int, patience: float = EMBEDDING_PATIENCE) -> dict[str, Any]:
    """The same for the SDK's own clients."""
    return {
        "http_client": DefaultAioHttpClient(),
        "timeout": httpx2.Timeout(patience, connect=min(CONNECT_PATIENCE, patience)),
        "max_retries": retries,
    }


async def close_model(model: BaseChatModel) -> None:
    """Closes the connections of a model of this package; others have none."""
    client = getattr(model, "root_async_client", None)
    if client is not None:
        await client.close()
