"""Bringing each agent's search index up to date with the documents of its knowledge base."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from domain.documents import read_documents
from domain.knowledge import IndexReport
from domain.ports import Retriever

Progress = Callable[[str, int, int], None]
"""Called with an agent's name, how many of its documents have been dealt with, and how many there are."""


class Ingestion:
    """Reads knowledge bases and has them indexed, one agent after the other."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def run(self, agents: Iterable[tuple[str, Path]], progress: Progress | None = None) -> list[IndexReport]:
        """Takes pairs of an agent's name and the folder of its knowledge base. All of them are read before the first
        is indexed, so a broken document changes nothing. Raises KnowledgeError and SearchUnavailable."""
        read = [(agent, await asyncio.to_thread(read_documents, agent, folder)) for agent, folder in agents]
        reports: list[IndexReport] = []
        for agent, documents in read:
            show = partial(_show, progress, agent, len(documents)) if progress else None
            if show:
                show(0)
            reports.append(await self._retriever.index(agent, documents, show))
        return reports


def _show(progress: Progress, agent: str, total: int, done: int) -> None:
    progress(agent, done, total)
