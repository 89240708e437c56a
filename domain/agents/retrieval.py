"""Retrieves what each need asks for from its agent's knowledge base. The needs are fanned out, one node run each."""

from typing import TypedDict

from domain.agents.state import Evidence, Need, TurnState
from domain.ports import Retriever

PASSAGES = 6
"""Passages retrieved for one need."""


class RetrievalTask(TypedDict):
    """What one `retrieve` run is sent."""

    need: Need


class Retrieval:
    """Node `retrieve`. Raises SearchUnavailable."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def __call__(self, state: RetrievalTask) -> TurnState:
        need = state["need"]
        passages = await self._retriever.search(need.agent, need.text, PASSAGES)
        return {"evidence": [Evidence(need, tuple(passages))]}
