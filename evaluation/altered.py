"""Retrievers that stand before another: one remembers what was found, one finds everything but some chunks."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from domain.knowledge import Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.ports import Retriever
from domain.terms import terms


class Watched(Retriever):
    """Passes everything on, and keeps the chunks that it saw."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self.seen: dict[tuple[str, str], Chunk] = {}

    @property
    def name(self) -> str:
        return self._retriever.name

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        return await self._retriever.index(agent, documents, progress)

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        passages = await self._retriever.search(agent, question, limit, reader)
        self.seen.update({(agent, passage.chunk.id): passage.chunk for passage in passages})
        return passages

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> TermStatistics | None:
        return await self._retriever.term_statistics(agent, terms, reader)

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        return await self._retriever.chunks(agent, document_id, reader)

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        return await self._retriever.likeness(question, texts)

    async def check(self) -> None:
        await self._retriever.check()


class Without(Watched):
    """Finds what the other would find without `removed`, the chunks to do without of each agent.

    Ranks and term statistics are those of a knowledge base that never held them. The scores are weighted by the rarity
    of terms in the one that does, and its latent-semantic space is its own, since the index itself stays: tests/evaluation/test_removal.py compares this with
    an index made without them."""

    def __init__(self, retriever: Retriever, removed: Mapping[str, Iterable[Chunk]]) -> None:
        super().__init__(retriever)
        self._removed = {agent: {chunk.id: chunk for chunk in chunks} for agent, chunks in removed.items()}

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        gone = self._removed.get(agent, {})
        found = await self._retriever.search(agent, question, limit + len(gone), reader)
        kept = [passage for passage in found if passage.chunk.id not in gone][:limit]
        self.seen.update({(agent, passage.chunk.id): passage.chunk for passage in kept})
        return kept

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> TermStatistics | None:
        counted = await self._retriever.term_statistics(agent, terms, reader)
        gone = self._removed.get(agent, {})
        if counted is None or not gone:
            return counted
        held = Counter(term for chunk in gone.values() for term in _terms_of(chunk))
        left = {term: often - held[term] for term, often in counted.frequency.items()}
        return TermStatistics(counted.chunks - len(gone), {term: often for term, often in left.items() if often > 0})


def _terms_of(chunk: Chunk) -> frozenset[str]:
    return frozenset(terms(f"{chunk.title}\n{chunk.text}"))
