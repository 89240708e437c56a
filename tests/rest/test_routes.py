"""Routes through both faces, on the embedded defaults: the runner-up, the question back, and whom an audience keeps out."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.domain.agents.test_clarification import ASKED_BACK, LAPTOPS, PHONES, QUESTION, SUBJECTS
from tests.graph.desk import global_id
from tests.live_server import live_server
from tests.rest.conftest import User, signed_up
from tests.rest.event_frames import read_frames

INSIDER = "insider"
AGENTS = f"""
[[agent]]
name = "phones"
title = "Phones"
description = "Everything about mobile telephones: screens and contracts."
knowledge_base = "phones"

[[agent]]
name = "laptops"
title = "Laptops"
description = "All about portable computers: keyboards and drives."
knowledge_base = "laptops"

[[agent]]
name = "repairs"
title = "The secret workshop"
description = "How we solder capacitors."
knowledge_base = "repairs"
audience = ["{INSIDER}"]
"""
SOLDER = "How are capacitors soldered?"
TURN = """query($id: ID!) { node(id: $id) { ... on Message { text sources { ordinal } turn { standaloneQuestion
  routes { agent { name title } confidence method runnerUp { agent { name title } confidence } } } } } }"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("shop")
    repairs = "# Repairs\n\nCapacitors are soldered at 350 degrees, with a steady hand.\n"
    for name, body in (("phones", PHONES), ("laptops", LAPTOPS), ("repairs", repairs)):
        (folder / name).mkdir()
        (folder / name / "page.md").write_text(body, "utf-8")
        for number, subject in enumerate(SUBJECTS):
            text = f"# {subject}\n\nOf {subject.lower()} we keep {number + 2} {name} in the shop window.\n"
            (folder / name / f"{number}.md").write_text(text, "utf-8")
    (folder / "agents.toml").write_text(AGENTS, "utf-8")
    with live_server({"AGENTS_FILE": str(folder / "agents.toml")}) as url:
        yield f"{url}/api/v1"


@pytest.fixture
async def insider(http: httpx.AsyncClient) -> User:
    return await signed_up(http, INSIDER)


async def asked(user: User, chat_id: int, question: str, **fields: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The routes as they were streamed, and the answer's message as GraphQL has it afterwards."""
    frames = read_frames(await user.asked(chat_id, question, **fields))
    [chosen] = [frame.data for frame in frames if frame.name == "route_chosen"]
    query = {"query": TURN, "variables": {"id": global_id("Message", frames[-1].data["message"]["id"])}}
    graphql = str(user.http.base_url).replace("/api/v1/", "/graphql")
    message: dict[str, Any] = (await user.ok("POST", graphql, json=query))["data"]["node"]
    return chosen["routes"], message


async def test_both_faces_tell_the_runner_up(user: User, chat_id: int) -> None:
    [route], message = await asked(user, chat_id, "When is a cracked screen replaced?")
    second = route["runner_up"]
    assert (route["agent"]["name"], second["agent"]["name"], second["agent"]["title"]) == (
        "phones",
        "laptops",
        "Laptops",
    )
    assert 0 < second["confidence"] < route["confidence"]
    [stored] = message["turn"]["routes"]
    assert stored["runnerUp"] == {"agent": {"name": "laptops", "title": "Laptops"}, "confidence": second["confidence"]}
    assert stored["confidence"] == route["confidence"]


async def test_a_route_that_the_client_chose_has_none(user: User, chat_id: int) -> None:
    [route], message = await asked(user, chat_id, QUESTION, agents=["phones"])
    assert (route["method"], route["runner_up"]) == ("CLIENT", None)
    assert message["turn"]["routes"][0]["runnerUp"] is None


async def test_the_question_back_is_an_ordinary_answer_and_the_reply_settles_it(user: User, chat_id: int) -> None:
    routes, message = await asked(user, chat_id, QUESTION)
    assert [(route["agent"]["name"], route["method"]) for route in routes] == [
        ("phones", "CLARIFICATION"),
        ("laptops", "CLARIFICATION"),
    ]
    assert (message["text"], message["sources"]) == (ASKED_BACK, [])
    assert [route["method"] for route in message["turn"]["routes"]] == ["CLARIFICATION"] * 2
    [route], message = await asked(user, chat_id, "the second")
    assert (route["agent"]["name"], route["method"]) == ("laptops", "REPLY")
    assert message["turn"]["standaloneQuestion"] == QUESTION
    assert "three years" in message["text"]
    texts = [line["text"] for line in (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"]]
    assert texts[:3] == [QUESTION, ASKED_BACK, "the second"]


async def test_who_is_outside_an_audience_is_not_routed_there_nor_told_of_it(user: User, insider: User) -> None:
    [route], message = await asked(insider, await insider.new_chat(), SOLDER)
    assert route["agent"]["name"] == "repairs"
    assert "350 degrees" in message["text"]
    routes, message = await asked(user, await user.new_chat(), SOLDER)
    assert routes == []
    seen: list[Any] = [message]
    for question in ("When is a cracked screen replaced?", QUESTION):
        seen += list(await asked(user, await user.new_chat(), question))
    told = json.dumps(seen)
    assert "repairs" not in told
    assert "workshop" not in told
    refused = await user.call(
        "POST", "/chat/message", json={"chat_id": await user.new_chat(), "message": SOLDER, "agents": ["repairs"]}
    )
    assert refused.status_code == 422
    assert "repairs'" in refused.text
    assert "workshop" not in refused.text
