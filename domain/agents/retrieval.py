"""Retrieves what each need asks for from its agent's knowledge base. The needs are fanned out, one node run each."""

from typing import TypedDict

import structlog
from langgraph.runtime import Runtime

from domain.agents.catalog import AgentCatalog
from domain.agents.state import Evidence, Need, TurnContext, TurnState
from domain.errors import SearchUnavailable
from domain.ports import Retriever

_log = structlog.get_logger()

PASSAGES = 6
"""Passages retrieved for one need."""


class RetrievalTask(TypedDict):
    """What one `retrieve` run is sent."""

    need: Need


class Retrieval:
    """Node `retrieve`. Raises SearchUnavailable, unless the agent answers without a search."""

    def __init__(self, retriever: Retriever, catalog: AgentCatalog) -> None:
        self._retriever = retriever
        self._catalog = catalog

    async def __call__(self, state: RetrievalTask, runtime: Runtime[TurnContext]) -> TurnState:
        need = state["need"]
        try:
            passages = await self._retriever.search(need.agent, need.text, PASSAGES, runtime.context.reader)
        except SearchUnavailable as failure:
            if not self._catalog.get(need.agent).answers_without_search:
                raise
            _log.warning("answered_without_search", agent=need.agent, reason=failure.message)
            return {"evidence": [Evidence(need, (), searched=False)]}
        return {"evidence": [Evidence(need, tuple(passages))]}
