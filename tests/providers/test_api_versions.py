"""Every api-version of Azure OpenAI: what is sent to it, and what it reports. The stand-in refuses what each does not know."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from langchain_core.messages import HumanMessage

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.decisions import DecisionTask
from domain.agents.reply_forms import ReplyForm
from domain.agents.state import Conversation
from models import choose_models
from providers.azure_openai import azure_openai_embeddings, azure_openai_model
from providers.direct_answers import DirectAnswers
from providers.openai import close_model
from settings import HOUSE, Settings
from tests.standins.api_versions import DATED, UNDATED
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies

ANSWER = "Nine dollars [1]."
AGENT = Agent("pricing", "Pricing", "What plans cost.", HOUSE)
DATA = {"routes": [{"agent": "pricing", "confidence": 0.9, "reason": "It asks for a price.", "questions": []}]}
ALL = (*DATED, *UNDATED)


@pytest.fixture(scope="module")
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        server.otherwise = ANSWER
        yield server


def settings_of(upstream: AzureOpenAIStandIn, version: str) -> Settings:
    values = {name.lower(): value for name, value in upstream.environment(version).items()}
    return Settings(_env_file=None, model_retries=0, decisions="model", **values)  # type: ignore[arg-type]


@asynccontextmanager
async def model_of(upstream: AzureOpenAIStandIn, version: str) -> AsyncIterator[DirectAnswers]:
    model = azure_openai_model(settings_of(upstream, version))
    yield model
    await close_model(model)


def since(version: str, month: str) -> bool:
    return version in UNDATED or version >= month


@pytest.mark.parametrize("version", ALL)
async def test_answers_stream_and_their_cost_is_recorded_where_it_is_reported(
    upstream: AzureOpenAIStandIn, version: str
) -> None:
    written: list[str] = []
    async with model_of(upstream, version) as model:
        message = await model.write(lambda: [HumanMessage("How much is nano?")], written.append)
        whole = await model.ainvoke([HumanMessage("How much is nano?")])
    assert "".join(written) == message.text == whole.text == ANSWER
    streamed, at_once = upstream.requests[-2:]
    reported = since(version, "2024-09")
    assert ("stream_options" in streamed.body, "stream_options" in at_once.body) == (reported, False)
    assert (message.usage_metadata is not None) is reported
    assert whole.usage_metadata is not None
    for exchange in (streamed, at_once):
        if version in UNDATED:
            assert (exchange.path, exchange.body["model"]) == ("/openai/v1/chat/completions", upstream.deployment)
            assert exchange.query == ({} if version == "v1" else {"api-version": version})
        else:
            assert exchange.path == f"/openai/deployments/{upstream.deployment}/chat/completions"
            assert exchange.query == {"api-version": version}
            assert exchange.headers["api-key"] == upstream.key
    assert set(streamed.body) <= {"messages", "model", "stream", "stream_options"}, "nothing that some version refuses"


@pytest.mark.parametrize("version", ALL)
async def test_vectors_are_made_at_every_version(upstream: AzureOpenAIStandIn, version: str) -> None:
    model = azure_openai_embeddings(settings_of(upstream, version))
    assert len(await model.embed(["nano", "studio"])) == 2
    await model.close()
    asked = upstream.requests[-1]
    assert asked.query == ({"api-version": version} if version in DATED + UNDATED[1:] else {})
    assert asked.path == ("/openai/v1" if version in UNDATED else f"/openai/deployments/{model.name}") + "/embeddings"


@pytest.mark.parametrize("version", ALL)
async def test_a_decision_comes_in_a_form_that_the_version_knows(upstream: AzureOpenAIStandIn, version: str) -> None:
    """Two requests a question: the versions without tools have neither, and are found out with the second question."""
    settings, catalog = settings_of(upstream, version), AgentCatalog((AGENT,))
    models = choose_models(settings, catalog)
    decider = models.decider
    assert decider is not None
    before, has_tools = len(upstream.requests), since(version, "2023-12")
    upstream.script(*[Replies(DATA)] * (2 if has_tools else 1))
    task = DecisionTask("How much is nano?", Conversation(), [AGENT], routes=True)
    first, second = [(await decider.decide(task, 1))[0] for _ in range(2)]
    await models.close()
    asked = [exchange.body for exchange in upstream.requests[before:]]
    assert ((first is not None), second is not None) == (has_tools, True)
    if has_tools:
        assert ["tools" in body for body in asked] == [True, True]
    else:
        assert [body.keys() & {"tools", "response_format"} for body in asked] == [{"tools"}, {"response_format"}, set()]


@pytest.mark.parametrize("version", [version for version in ALL if since(version, "2024-08")])
async def test_a_strict_schema_is_taken_since_there_are_any(upstream: AzureOpenAIStandIn, version: str) -> None:
    task = DecisionTask("How much is nano?", Conversation(), [AGENT], routes=True, strict=True)
    upstream.script(Replies(DATA))
    async with model_of(upstream, version) as model:
        asked = model.bind(**task.schema.asked_in(ReplyForm.JSON_SCHEMA))
        message = await asked.ainvoke(task.messages(ReplyForm.JSON_SCHEMA))
    assert task.read(task.schema.read(message, ReplyForm.JSON_SCHEMA)).routing is not None
    assert upstream.requests[-1].body["response_format"]["json_schema"]["strict"] is True
