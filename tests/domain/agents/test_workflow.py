"""Which steps a turn takes: those that have something to do, as whoever listens to LangChain hears of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda

from domain.agents.catalog import AgentCatalog
from domain.agents.reranking import Reranker
from domain.agents.workflow import build_workflow
from providers.extractive import ExtractiveChatModel
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Said, Written
from tests.domain.agents.turns import asking

WATER = "How often should I water tomatoes?"
HOURS = "When is the library open?"


class Heard(AsyncCallbackHandler):
    """The nodes that ran, as they began."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def on_chain_start(
        self, *_: Any, name: str = "", metadata: Mapping[str, Any] | None = None, **__: Any
    ) -> None:
        if name == (metadata or {}).get("langgraph_node"):
            self.steps.append(name)


class Impartial:
    """A reranker to whom all are alike, and how often it was asked."""

    name = "impartial"

    def __init__(self) -> None:
        self.asked = 0

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        self.asked += 1
        return [0.5] * len(texts)

    async def close(self) -> None: ...


async def steps(
    desk: Desk, text: str, *before: str, chosen: Sequence[str] = (), reranker: Reranker | None = None
) -> list[str]:
    catalog = AgentCatalog(tuple(replace(agent, rerank=reranker is not None) for agent in desk.agents))
    model = ExtractiveChatModel()
    run = build_workflow(Said(*before), desk.search, catalog, model, "m", lambda _: None, reranker=reranker)
    heard = Heard()
    await RunnableLambda(run).ainvoke(asking(text, catalog.all, Written(), chosen), {"callbacks": [heard]})
    return heard.steps


async def test_a_first_question_is_routed_at_once_and_answered_from_what_was_found(small_desk: Desk) -> None:
    assert await steps(small_desk, WATER) == ["recall", "route"]


async def test_a_follow_up_is_rewritten(small_desk: Desk) -> None:
    before = WATER, "Every second morning [1]."
    assert await steps(small_desk, "And in winter?", *before) == ["recall", "rewrite", "route"]


async def test_what_was_said_is_told_without_a_search(small_desk: Desk) -> None:
    before = "My garden is 40 square metres.", "I see."
    assert await steps(small_desk, "How big did I say my garden is?", *before) == ["recall", "recollect"]


@pytest.mark.parametrize("chosen", [["garden"], ["garden", "library"]])
async def test_agents_that_the_client_chose_are_searched(small_desk: Desk, chosen: Sequence[str]) -> None:
    assert await steps(small_desk, WATER, chosen=chosen) == ["recall", "route", *["retrieve"] * len(chosen)]


@pytest.mark.parametrize(("text", "needs"), [(WATER, 1), (f"{WATER} {HOURS}", 2)])
async def test_a_reranker_reads_for_each_need(small_desk: Desk, text: str, needs: int) -> None:
    assert await steps(small_desk, text) == ["recall", "route"]
    assert await steps(small_desk, text, reranker=Impartial()) == ["recall", "route", *["retrieve"] * needs]
