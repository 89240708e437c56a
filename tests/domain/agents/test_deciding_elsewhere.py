"""Who decides where the small deployment does not: the fallback of the answers, and nobody for a while."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.agents.catalog import AgentCatalog
from domain.model import RouteMethod
from models import Models, choose_models
from tests.domain.agents.deciding_desk import GENEROUS, GOOD, TOMATOES, Deciding
from tests.domain.agents.small_desks import Desk
from tests.providers.deployments import OTHER_NAME, settings_for
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies
from tests.standins.faults import Hang, Refuse

BOOK = "How long may I keep a book?"
SMALL, NORTH = "gpt-4o-mini", "gpt-4o-north"
SMALL_NAME = f"Azure OpenAI, deployment {SMALL}"
BY_MODEL, EMBEDDED = [("library", RouteMethod.MODEL)], [("garden", RouteMethod.EMBEDDED)]
DOWN = Refuse(503)


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        server.other_deployments = {SMALL}
        yield server


@pytest.fixture
def other() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn(NORTH) as server:
        yield server


@asynccontextmanager
async def desk_of(
    desk: Desk, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn, **changes: Any
) -> AsyncIterator[tuple[Deciding, Models]]:
    patient = {"decision_seconds": GENEROUS, "azure_openai_small_deployment": SMALL}
    models = choose_models(settings_for(upstream, other, **(patient | changes)), AgentCatalog(tuple(desk.agents)))
    assert models.decides is not None
    seconds: float = changes.get("decision_seconds", GENEROUS)
    yield Deciding(desk, models.decides.chat, upstream, seconds=seconds), models
    await models.close()


@pytest.mark.parametrize("fault", [DOWN, Refuse(429), Refuse(404), Refuse(401)], ids=repr)
async def test_the_fallback_decides_where_the_small_one_does_not(
    small_desk: Desk, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn, fault: Refuse
) -> None:
    other.script(Replies(GOOD))
    with capture_logs() as logs:
        async with desk_of(small_desk, upstream, other) as (deciding, _):
            await deciding.ask(BOOK, fault)
    assert deciding.routes == BY_MODEL
    assert (len(upstream.requests), len(other.requests)) == (1, 1)
    [failed] = [line for line in logs if line["event"] == "model_failed"]
    assert failed["model"] == SMALL_NAME
    assert fault.status != 404 or "AZURE_OPENAI_SMALL_DEPLOYMENT names no deployment" in failed["remedy"]


async def test_one_that_does_not_reply_is_left_while_there_is_time_for_the_other(
    small_desk: Desk, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    other.script(Replies(GOOD))
    async with desk_of(small_desk, upstream, other, decision_seconds=3.0) as (deciding, _):
        await deciding.ask(BOOK, Hang())
    assert deciding.routes == BY_MODEL


async def test_each_is_asked_in_the_form_that_it_keeps_to(
    small_desk: Desk, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    other.script(Replies(GOOD))
    async with desk_of(small_desk, upstream, other) as (deciding, _):
        await deciding.ask(BOOK, Refuse(400), Replies(GOOD))
        await deciding.ask(BOOK, DOWN)
    assert deciding.routes == BY_MODEL
    assert ["tools" in exchange.body for exchange in upstream.requests] == [True, False, False]
    assert ["tools" in exchange.body for exchange in other.requests] == [True]


async def test_who_fails_again_and_again_is_not_asked_to_decide_and_answers_all_the_same(
    small_desk: Desk, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    upstream.fault = other.fault = DOWN
    pause = {"model_breaker_failures": 2, "model_breaker_seconds": 3600}
    with capture_logs() as logs:
        async with desk_of(small_desk, upstream, other, **pause) as (deciding, models):
            for _ in range(4):
                await deciding.ask(TOMATOES)
                assert deciding.routes == EMBEDDED
            assert models.decides is not None
            assert models.decides.chat.paused == (SMALL_NAME, OTHER_NAME)
            assert SMALL_NAME in models.decides.state
            assert models.answers.state == f"Azure OpenAI, deployment gpt-4o, or else deployment {NORTH}"
    assert (len(upstream.requests), len(other.requests)) == (2, 2)
    assert [line["model"] for line in logs if line["event"] == "model_paused"] == [SMALL_NAME, OTHER_NAME]
    assert not [line for line in logs if "exc_info" in line]
