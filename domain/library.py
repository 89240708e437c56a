"""The library: the documents that answers are written from, for who wants to read on where a source points."""

from domain.agents.catalog import AgentCatalog
from domain.errors import NotFound
from domain.knowledge import DocumentText, Reader
from domain.model import Viewer
from domain.ports import Retriever

MISSING = "There is no such document."


class Library:
    def __init__(self, catalog: AgentCatalog, retriever: Retriever) -> None:
        self._catalog = catalog
        self._retriever = retriever

    async def document(self, viewer: Viewer, agent: str, document_id: str) -> DocumentText:
        """As it is searched now. Raises NotFound, also for what is not for this viewer, and SearchUnavailable."""
        if all(visible.name != agent for visible in self._catalog.visible_to(viewer.username)):
            raise NotFound(MISSING)
        chunks = await self._retriever.chunks(agent, document_id, Reader(viewer.username))
        if not chunks:
            raise NotFound(MISSING)
        return DocumentText.of(chunks)
