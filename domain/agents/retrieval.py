"""Retrieves what each need asks for from its agent's knowledge base. The needs are fanned out, one node run each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import structlog
from langgraph.runtime import Runtime

from domain.agents.blending import blended
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.reranking import CANDIDATES, Reranker, reranked
from domain.agents.selecting import select
from domain.agents.state import Evidence, Need, Routing, TurnContext, TurnState
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

    def of_found(self, routing: Routing) -> list[Evidence]:
        """What the router's own search found, for the needs that want no other."""
        agents = {need: self._catalog.get(need.agent) for need in routing.found}
        return [
            Evidence(need, _shown(_ordered(found), agents[need]))
            for need, found in routing.found.items()
            if not self._reranker_of(agents[need])
        ]

    async def __call__(self, state: RetrievalTask, runtime: Runtime[TurnContext]) -> TurnState:
        need = state["need"]
        agent = self._catalog.get(need.agent)
        reranker = self._reranker_of(agent)
        try:
            found, limit = state["found"], max(agent.candidates, CANDIDATES if reranker else 0)
            if found is None or limit > agent.candidates:
                found = await self._retriever.search(need.agent, need.text, limit, runtime.context.reader)
        except SearchUnavailable as failure:
            if not agent.answers_without_search:
                raise
            _log.warning("answered_without_search", agent=need.agent, reason=failure.message)
            return {"evidence": [Evidence(need, (), searched=False)]}
        ordered = _ordered(found)
        if reranker:
            await runtime.context.until_stored()
            ordered = await reranked(reranker, need.text, ordered)
        return {"evidence": [Evidence(need, _shown(ordered, agent))]}

    def _reranker_of(self, agent: Agent) -> Reranker | None:
        return self._reranker if agent.rerank else None


def _ordered(found: Sequence[Passage]) -> Sequence[Passage]:
    return blended([_harmless(passage) for passage in found])


def _shown(ordered: Sequence[Passage], agent: Agent) -> tuple[Passage, ...]:
    return select(ordered, agent.passages, agent.passage_tokens)


def _harmless(passage: Passage) -> Passage:
    """Our own indexes hold none of it; who filled another one may not have looked."""
    text = without_injections(passage.chunk.text)
    return (
        passage if text == passage.chunk.text else replace(passage, chunk=replace(passage.chunk, text=text, start=None))
    )
