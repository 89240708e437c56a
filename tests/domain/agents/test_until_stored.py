"""Nobody who costs is asked for a turn that may still come to nothing."""

import asyncio
from dataclasses import replace

import pytest

from domain.agents.catalog import AgentCatalog
from domain.agents.deciding import Decider
from domain.agents.patience import ORDINARY
from domain.agents.workflow import build_workflow
from providers.fallback import Deployments
from providers.model_errors import model_error
from tests.domain.agents.deciding_desk import GENEROUS
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Said, Written
from tests.domain.agents.test_workflow import Impartial
from tests.domain.agents.turns import asking
from tests.standins.azure_openai import AzureOpenAIStandIn


@pytest.mark.parametrize("asked", ["answers", "decides", "reranks"])
async def test_a_forgotten_turn_has_asked_nobody(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn, asked: str
) -> None:
    catalog = AgentCatalog(tuple(replace(agent, rerank=asked == "reranks") for agent in small_desk.agents))
    decider = Decider(deciding_model, model_error, GENEROUS) if asked == "decides" else None
    reranker = Impartial() if asked == "reranks" else None
    run = build_workflow(
        Said(), small_desk.search, catalog, deciding_model, "m", model_error, ORDINARY, decider, reranker=reranker
    )
    stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    stored.cancel()
    written = Written()
    with pytest.raises(asyncio.CancelledError):
        await run(replace(asking("How often should I water tomatoes?", catalog.all, written), stored=stored))
    assert upstream.requests == []
    assert reranker is None or reranker.asked == 0
    assert written.text == ""
