"""Models by role, behind the real server: a small one decides, an agent has one of its own, and the desk's writes the
rest. Both faces say who decided; the requests fit Azure's own API descriptions."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from settings import HOUSE
from tests.graph.desk import global_id
from tests.live_server import live_server
from tests.rest.conftest import User
from tests.rest.event_frames import Frame, read_frames
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies
from tests.standins.faults import Refuse
from tests.standins.loopback import Exchange
from tests.standins.specs import DATED, V1, complaints, missing

SMALL, LARGE, PRICES = "gpt-4o-mini", "gpt-4o", "gpt-4o-prices"
NANO, RESET = "What is the nano pricing plan?", "How do I reset my password?"
AGENTS = f"""
[[agent]]
name = "pricing"
title = "Pricing"
description = "Plans and prices."
knowledge_base = "{HOUSE / "knowledge/pricing"}"
deployment = "{PRICES}"
model = "{PRICES}"

[[agent]]
name = "help-guides"
title = "Help Guides"
description = "How to use the product."
knowledge_base = "{HOUSE / "knowledge/help-guides"}"

[[agent]]
name = "api"
title = "The hidden API"
description = "Endpoints."
knowledge_base = "{HOUSE / "knowledge/taxgenii-api"}"
audience = ["insider"]
"""
TURN = """query($id: ID!) { node(id: $id) { ... on Message { turn { standaloneQuestion usage { promptTokens }
  routes { agent { name } confidence reason method } } } } }"""


@pytest.fixture(scope="module")
def scripted() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn(LARGE) as upstream:
        upstream.other_deployments = {SMALL, PRICES}
        upstream.otherwise = "That it is [1]."
        yield upstream


@pytest.fixture(scope="module", params=["2025-03-01-preview", "v1", "openai"])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, service: str) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def address(scripted: AzureOpenAIStandIn, service: str, data: Path) -> Iterator[str]:
    (data / "agents.toml").write_text(AGENTS, "utf-8")
    plain = {"OPENAI_BASE_URL": f"{scripted.url}/v1", "OPENAI_MODEL": LARGE, "OPENAI_SMALL_MODEL": SMALL}
    azure = {**scripted.environment(service), "AZURE_OPENAI_SMALL_DEPLOYMENT": SMALL} if service != "openai" else plain
    with live_server({**azure, "AGENTS_FILE": str(data / "agents.toml"), "DATA_DIR": str(data)}) as url:
        yield f"{url}/api/v1"


def asks_for(agent: str, **others: Any) -> Replies:
    return Replies({"routes": [{"agent": agent, "confidence": 0.9, "reason": "It fits.", "questions": []}], **others})


def deployment(exchange: Exchange) -> str:
    found = exchange.path.removeprefix("/openai/deployments/").partition("/chat")
    return found[0] if exchange.path.startswith("/openai/deployments/") else str(exchange.body["model"])


def routed(frames: list[Frame]) -> list[tuple[str, str]]:
    [chosen] = [frame.data for frame in frames if frame.name == "route_chosen"]
    return [(route["agent"]["name"], route["method"]) for route in chosen["routes"]]


async def asked(user: User, chat_id: int, upstream: AzureOpenAIStandIn, *steps: Any, question: str) -> tuple[
    list[Frame], list[Exchange]
]:  # fmt: skip
    """The events of a turn, and the requests that it made. The model's answer is the last of its requests."""
    before = len(upstream.requests)
    upstream.script(*steps)
    frames = read_frames(await user.asked(chat_id, question))
    return frames, upstream.requests[before:]


async def test_each_role_has_its_deployment(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, service: str, data: Path
) -> None:
    frames, made = await asked(user, chat_id, upstream, asks_for("pricing"), question=NANO)
    assert routed(frames) == [("pricing", "MODEL")]
    assert [deployment(exchange) for exchange in made] == [SMALL, PRICES]
    frames, others = await asked(
        user, chat_id, upstream, asks_for("help-guides", question=RESET), question="And my password?"
    )
    assert routed(frames) == [("help-guides", "MODEL")]
    assert [deployment(exchange) for exchange in others] == [SMALL, LARGE]
    both = {"routes": [*asks_for("pricing").data["routes"], *asks_for("help-guides").data["routes"]]}  # type: ignore[index]
    frames, more = await asked(user, await user.new_chat(), upstream, Replies(both), question=f"{NANO} {RESET}")
    assert [name for name, _ in routed(frames)] == ["pricing", "help-guides"]
    assert [deployment(exchange) for exchange in more] == [SMALL, LARGE]
    assert [name.rpartition("deployment ")[2].partition(" at ")[0] for name in models(data)][-3:] == [
        PRICES,
        LARGE,
        LARGE,
    ]


async def test_a_topic_is_switched_and_both_faces_say_who_decided(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    await asked(user, chat_id, upstream, asks_for("pricing"), question=NANO)
    frames, [decided, answered] = await asked(
        user, chat_id, upstream, asks_for("help-guides", question=RESET), question=RESET
    )
    conversation = json.loads(decided.body["messages"][1]["content"])["conversation"]
    assert [line["text"] for line in conversation] == [NANO, "That it is."]
    assert answered.body["messages"][-1]["content"].endswith(f"Question: {RESET}")
    turn = await stored(user, frames)
    assert turn["standaloneQuestion"] == RESET
    assert turn["routes"] == [
        {"agent": {"name": "help-guides"}, "confidence": 0.9, "reason": "It fits.", "method": "MODEL"}
    ]
    spent = sum(
        exchange.sent[-1]["usage"]["prompt_tokens"]
        for exchange in (decided, answered)
        if exchange.sent[-1].get("usage")
    )
    assert turn["usage"]["promptTokens"] == spent > 0
    assert answered.sent[-1].get("usage")


async def test_without_the_small_model_the_documents_decide_and_the_client_may(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    frames, made = await asked(user, chat_id, upstream, Refuse(503), question=NANO)
    assert routed(frames) == [("pricing", "EMBEDDED")]
    assert [deployment(exchange) for exchange in made] == [SMALL, PRICES], "asked once, whatever MODEL_RETRIES says"
    frames = read_frames(await user.asked(await user.new_chat(), NANO, agents=["help-guides"]))
    assert routed(frames) == [("help-guides", "CLIENT")]
    assert (await stored(user, frames))["routes"][0]["method"] == "CLIENT"


async def test_the_model_cannot_open_an_agent_to_who_is_outside_its_audience(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    question = "Which endpoint creates a return?"
    frames, made = await asked(user, chat_id, upstream, asks_for("api"), asks_for("api"), question=question)
    assert "api" not in [name for name, _ in routed(frames)]
    assert [deployment(exchange) for exchange in made][:2] == [SMALL, SMALL]
    assert "hidden" not in json.dumps([exchange.body for exchange in made])


async def test_decisions_fit_the_description(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, service: str
) -> None:
    if (why := missing()) is not None:
        pytest.skip(f"Azure's API descriptions cannot be used: {why}")
    await asked(user, chat_id, upstream, asks_for("pricing"), question=NANO)
    _, [first, second, _] = await asked(
        user, chat_id, upstream, Replies("{"), asks_for("pricing", question=NANO), question="And that?"
    )
    document = DATED if service.startswith("2025") else V1
    prefix = "create" if document == DATED else "AzureCreate"
    for exchange in (first, second):
        assert complaints(document, f"{prefix}ChatCompletionRequest", exchange.body) == []
        assert service == "openai" or not complaints(document, f"{prefix}ChatCompletionResponse", exchange.sent[0])


async def stored(user: User, frames: list[Frame]) -> dict[str, Any]:
    """The turn as GraphQL tells it afterwards."""
    identifier = frames[-1].data["message"]["id"]
    query = {"query": TURN, "variables": {"id": global_id("Message", identifier)}}
    address = str(user.http.base_url).replace("/api/v1/", "/graphql")
    body = await user.ok("POST", address, json=query)
    turn: dict[str, Any] = body["data"]["node"]["turn"]
    return turn


def models(data: Path) -> list[str]:
    """The models that are recorded with the turns, in the order of asking."""
    with closing(sqlite3.connect(data / "answerdesk.sqlite3")) as database:
        return [model for (model,) in database.execute("SELECT model FROM turns ORDER BY id") if model]
