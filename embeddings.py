"""What makes the vectors of Azure AI Search, and who is asked as whom. Part of the wiring."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from providers.azure_openai import azure_openai_embeddings
from providers.embedding_models import EmbeddingModel, LocalEmbeddings
from providers.embeddings import installed_embedder
from providers.entra import Identity
from providers.openai import openai_embeddings
from settings import Settings


@asynccontextmanager
async def open_embeddings(settings: Settings) -> AsyncIterator[EmbeddingModel]:
    """Azure OpenAI, else an OpenAI-compatible server, else the embedded model. Raises ValueError when there is none of
    them."""
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(Identity()) if settings.uses_entra else None
        model = _choose(settings, identity)
        stack.push_async_callback(model.close)
        yield model


def _choose(settings: Settings, identity: Identity | None) -> EmbeddingModel:
    if settings.azure_openai_embedding_deployment:
        return azure_openai_embeddings(settings, identity)
    if settings.openai_embedding_model:
        return openai_embeddings(settings)
    embedder = installed_embedder() if settings.embeddings == "auto" else None
    if embedder is None:
        raise ValueError(
            f"AZURE_SEARCH_MODE={settings.azure_search_mode} needs vectors: set AZURE_OPENAI_EMBEDDING_DEPLOYMENT or "
            "OPENAI_EMBEDDING_MODEL, or run `make embeddings`"
        )
    return LocalEmbeddings(embedder)
