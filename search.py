"""Which search the settings chose, and keeping its index up to date. Part of the wiring."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from domain.agents.catalog import AgentCatalog
from domain.ingestion import Ingestion
from domain.ports import Retriever
from providers.embedded_search import EmbeddedSearch
from providers.embeddings import installed_embedder
from settings import Settings


@asynccontextmanager
async def open_retriever(settings: Settings, catalog: AgentCatalog) -> AsyncIterator[Retriever]:
    """Azure AI Search, else the embedded index in the data folder."""
    if settings.azure_search_endpoint:
        async with _open_azure(settings, catalog) as azure:
            yield azure
    else:
        embedder = installed_embedder() if settings.embeddings == "auto" else None
        embedded = EmbeddedSearch(settings.data_dir / "index", embedder)
        try:
            yield embedded
        finally:
            await embedded.close()


@asynccontextmanager
async def _open_azure(settings: Settings, catalog: AgentCatalog) -> AsyncIterator[Retriever]:
    from providers.azure_search import AzureSearch  # its SDK takes long to import
    from providers.entra import Identity

    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(Identity()) if settings.uses_entra else None
        model = None
        if settings.uses_vectors:
            from embeddings import open_embeddings  # and so do theirs

            model = await stack.enter_async_context(open_embeddings(settings))
        retriever = AzureSearch.of(settings, catalog.names, identity, model)
        stack.push_async_callback(retriever.close)
        yield retriever


async def ingest(
    catalog: AgentCatalog, retriever: Retriever, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Brings every agent's index up to date with its knowledge base."""
    await Ingestion(retriever).run([(agent.name, agent.knowledge_base) for agent in catalog.all], progress)
