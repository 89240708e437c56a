"""A reranker behind the endpoint that Jina, Cohere, vLLM, llama.cpp and others share: `POST …/rerank`."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import openai

from domain.agents.reranking import RerankUnavailable
from providers.openai import embeddings_connection
from settings import Settings

LONGEST_TEXT = 4_000
"""Characters of a passage that are read."""


class RerankServer:
    """See the port. `patience` is how long in seconds a turn waits for it, retries included."""

    def __init__(self, client: openai.AsyncOpenAI, model: str, patience: float) -> None:
        self._client = client
        self._patience = patience
        self.name = model

    @classmethod
    def of(cls, settings: Settings) -> "RerankServer | None":
        """What RERANK_BASE_URL and RERANK_MODEL name; None where they are not set."""
        if settings.rerank_base_url is None or settings.rerank_model is None:
            return None
        key = settings.rerank_api_key.get_secret_value() if settings.rerank_api_key else "none"
        connected = embeddings_connection(settings.model_retries, settings.rerank_seconds)
        client = openai.AsyncOpenAI(base_url=settings.rerank_base_url, api_key=key, **connected)
        return cls(client, settings.rerank_model, settings.rerank_seconds)

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        read = [text[:LONGEST_TEXT] for text in texts]
        body = {"model": self.name, "query": question, "documents": read, "top_n": len(read)}
        try:
            async with asyncio.timeout(self._patience):
                answer: Any = await self._client.post("/rerank", body=body, cast_to=object)
            return _scores(answer, len(texts))
        except (openai.OpenAIError, TimeoutError, ValueError) as failure:
            raise RerankUnavailable(f"{type(failure).__name__} from {self.name}") from failure

    async def close(self) -> None:
        await self._client.close()


def _scores(answer: Any, wanted: int) -> list[float]:
    """Raises ValueError for anything but one number for each text."""
    try:
        found = {int(result["index"]): float(result["relevance_score"]) for result in answer["results"]}
    except (KeyError, TypeError) as error:
        raise ValueError("this is no ranking") from error
    if found.keys() != set(range(wanted)) or not all(map(math.isfinite, found.values())):
        raise ValueError(f"a ranking of {len(found)} for {wanted} texts")
    return [found[place] for place in range(wanted)]
