"""Passages are read again where a server for it is set; where it fails, the search's order stays."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from doctor import Doctor
from domain.agents.catalog import AgentCatalog
from domain.agents.reranking import RerankUnavailable
from domain.agents.workflow import build_workflow
from providers.extractive import ExtractiveChatModel
from providers.reranking import RerankServer
from settings import Settings
from tests.domain.agents.small_desks import Desk, small_desk
from tests.domain.agents.test_answering import Said, Written
from tests.domain.agents.turns import asking
from tests.standins.reranker import KEY, MODEL, RerankStandIn

__all__ = ["small_desk"]

TEXTS = ["The library opens at nine.", "Water tomatoes daily.", "Water"]
QUESTION = "water tomatoes daily"


@pytest.fixture
def server() -> Iterator[RerankStandIn]:
    with RerankStandIn() as server:
        yield server


@pytest.fixture
async def reranker(server: RerankStandIn) -> AsyncIterator[RerankServer]:
    made = RerankServer.of(settings(server, rerank_seconds=2, model_retries=0))
    assert made is not None
    yield made
    await made.close()


def settings(server: RerankStandIn, **more: object) -> Settings:
    its = {"rerank_base_url": f"{server.url}/v1", "rerank_model": MODEL, "rerank_api_key": KEY}
    return Settings(_env_file=None, embeddings="off", **its | more)  # type: ignore[arg-type]


async def test_scores_come_in_the_order_of_the_texts(server: RerankStandIn, reranker: RerankServer) -> None:
    assert await reranker.scores(QUESTION, TEXTS) == [0, 1, pytest.approx(1 / 3)]
    assert server.requests[-1].body == {"model": MODEL, "query": QUESTION, "documents": TEXTS, "top_n": 3}


def hang(server: RerankStandIn) -> None:
    server.hangs = True


def answers(body: object, status: int = 200) -> Callable[[RerankStandIn], None]:
    def change(server: RerankStandIn) -> None:
        server.body, server.status = body, status

    return change


FAILURES = {
    "busy": answers({"error": "slow down"}, 429),
    "failing": answers({"error": "oh"}, 500),
    "no ranking": answers({"data": []}),
    "one too few": answers({"results": [{"index": 0, "relevance_score": 1.0}, {"index": 1, "relevance_score": 1.0}]}),
    "a stranger": answers({"results": [{"index": n, "relevance_score": 1.0} for n in (0, 1, 3)]}),
    "no number": answers({"results": [{"index": n, "relevance_score": "NaN"} for n in range(3)]}),
    "a list": answers([1, 2, 3]),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_what_is_no_ranking_is_unavailable(
    server: RerankStandIn, reranker: RerankServer, failure: Callable[[RerankStandIn], None]
) -> None:
    failure(server)
    with pytest.raises(RerankUnavailable):
        await reranker.scores(QUESTION, TEXTS)


async def test_nobody_waits_for_it_longer_than_the_setting_says(server: RerankStandIn) -> None:
    reranker = RerankServer.of(settings(server, rerank_seconds=0.2, model_retries=5))
    assert reranker is not None
    hang(server)
    with pytest.raises(RerankUnavailable):
        await reranker.scores(QUESTION, TEXTS)
    server.release()
    await reranker.close()


async def cited(desk: Desk, reranker: RerankServer, asked: str, rerank: bool = True) -> list[float]:
    """The scores of the answer's sources."""
    catalog = AgentCatalog(tuple(replace(agent, rerank=rerank) for agent in desk.agents))
    model = ExtractiveChatModel()
    workflow = build_workflow(Said(), desk.search, catalog, model, "m", lambda _: None, reranker=reranker)
    draft = await workflow(asking(asked, catalog.all, Written()))
    return [source.score for source in draft.sources]


async def test_a_turn_shows_what_was_read_again_and_goes_on_without(
    small_desk: Desk, server: RerankStandIn, reranker: RerankServer
) -> None:
    asked = "How often should I water tomatoes?"
    before = await cited(small_desk, reranker, asked, rerank=False)
    assert server.requests == []
    server.logits = True
    [score] = await cited(small_desk, reranker, asked)
    assert 0 < score < 1
    assert [score] != before
    [read] = [exchange.body for exchange in server.requests]
    assert read["query"] == asked
    assert read["documents"][0].startswith("Tomatoes\nWatering tomatoes: Water tomatoes every second morning")
    server.status = 503
    assert await cited(small_desk, reranker, asked) == before


async def test_the_doctor_asks_it(server: RerankStandIn) -> None:
    findings = {it.service: it for it in await Doctor(settings(server), 5).examine()}
    assert (findings["reranker"].what, findings["reranker"].trouble) == (MODEL, None)
    server.status, server.body = 401, {}
    [found] = [it for it in await Doctor(settings(server), 5).examine() if it.service == "reranker"]
    assert "RERANK_API_KEY" in found.remedy


def test_half_of_the_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="RERANK_MODEL"):
        Settings(_env_file=None, rerank_base_url="http://127.0.0.1:1/v1")
