"""Retrieves what each need asks for from its agent's knowledge base. The needs are fanned out, one node run each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import structlog
from langgraph.runtime import Runtime

from domain.agents.blending import blended
from domain.agents.catalog import AgentCatalog
from domain.agents.reranking import CANDIDATES, Reranker, reranked
from domain.agents.selecting import select
from domain.agents.state import Evidence, Need, TurnContext, TurnState
from domain.errors import SearchUnavailable
from domain.injections import without_injections
from domain.knowledge import Passage
from domain.ports import Retriever

_log = structlog.get_logger()


class RetrievalTask(TypedDict):
    """What one `retrieve` run is sent: a need, and what the router's search found for it, if it searched."""

    need: Need
    found: Sequence[Passage] | None


class Retrieval:
    """Node `retrieve`. Raises SearchUnavailable, unless the agent answers without a search."""

    def __init__(self, retriever: Retriever, catalog: AgentCatalog, reranker: Reranker | None = None) -> None:
        self._retriever = retriever
        self._catalog = catalog
        self._reranker = reranker

    async def __call__(self, state: RetrievalTask, runtime: Runtime[TurnContext]) -> TurnState:
        need = state["need"]
        agent = self._catalog.get(need.agent)
        reranker = self._reranker if agent.rerank else None
        try:
            searched, limit = state["found"], max(agent.candidates, CANDIDATES if reranker else 0)
            if searched is None or limit > agent.candidates:
                searched = await self._retriever.search(need.agent, need.text, limit, runtime.context.reader)
        except SearchUnavailable as failure:
            if not agent.answers_without_search:
                raise
            _log.warning("answered_without_search", agent=need.agent, reason=failure.message)
            return {"evidence": [Evidence(need, (), searched=False)]}
        found = blended([_harmless(passage) for passage in searched])
        if reranker:
            found = await reranked(reranker, need.text, found)
        passages = select(found, agent.passages, agent.passage_tokens)
        return {"evidence": [Evidence(need, passages)]}


def _harmless(passage: Passage) -> Passage:
    """Our own indexes hold none of it; who filled another one may not have looked."""
    text = without_injections(passage.chunk.text)
    return (
        passage if text == passage.chunk.text else replace(passage, chunk=replace(passage.chunk, text=text, start=None))
    )
