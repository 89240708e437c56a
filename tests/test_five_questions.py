"""The main job on the sample knowledge bases: five questions in one chat, on embedded defaults, over each transport.

The right agent, the right source first, and the fact in the answer."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.live_server import live_server


@dataclass(frozen=True)
class Expected:
    question: str
    agents: set[str]
    fact: str
    first_source: str | None


QUESTIONS = (
    Expected("What is the nano pricing plan?", {"pricing"}, "$9", "pricing/plans"),
    Expected("And how many returns does it include?", {"pricing"}, "3", "pricing/"),
    Expected("How do I reset my password?", {"help-guides"}, "reset", "help-guides/reset-your-password"),
    Expected(
        "Which endpoint creates a return, and what does it cost on that plan?",
        {"taxgenii-api", "pricing"},
        "POST /returns",
        "taxgenii-api/",
    ),
    Expected("What is the capital of Peru?", set(), "Help Guides", None),
)


@dataclass
class Answer:
    """What any transport brings back of one turn."""

    agents: set[str]
    text: str
    sources: list[dict[str, Any]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with live_server() as url:
        yield url


async def signed_up(client: httpx.AsyncClient, name: str) -> dict[str, str]:
    account = {"username": name, "email": f"{name}@example.com", "password": "a_strong_password"}
    assert (await client.post("/api/v1/auth/register", json=account)).status_code == 201
    grant = (await client.post("/api/v1/auth/token", data=account)).json()
    return {"Authorization": f"Bearer {grant['access_token']}"}


async def rest_json(client: httpx.AsyncClient, auth: dict[str, str], chat_id: int, question: str) -> Answer:
    body = {"chat_id": chat_id, "message": question, "stream": False}
    answer = (await client.post("/api/v1/chat/message", json=body, headers=auth)).json()
    return Answer(set(answer["agents"]), answer["answer"], answer["sources"])


async def rest_sse(client: httpx.AsyncClient, auth: dict[str, str], chat_id: int, question: str) -> Answer:
    body = {"chat_id": chat_id, "message": question}
    response = await client.post("/api/v1/chat/chat-lg", json=body, headers=auth)
    return gathered([json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: ")])


async def graphql_sse(client: httpx.AsyncClient, auth: dict[str, str], chat_id: int, question: str) -> Answer:
    sessions = "{ sessions(first: 100) { edges { node { id chatId } } } }"
    found = (await client.post("/graphql", json={"query": sessions}, headers=auth)).json()
    edges = found["data"]["sessions"]["edges"]
    session_id = next(edge["node"]["id"] for edge in edges if edge["node"]["chatId"] == chat_id)
    query = """subscription ($id: ID!, $text: String!) { sendMessage(input: {sessionId: $id, text: $text}) {
      seq ... on RouteChosen { routes { agent { name } } } ... on AnswerDelta { text }
      ... on TurnCompleted { message { text sources { agent documentId } } } } }"""
    body = {"query": query, "variables": {"id": session_id, "text": question}}
    response = await client.post("/graphql", json=body, headers={**auth, "Accept": "text/event-stream"})
    data = [line[6:] for line in response.text.split("\n") if line.startswith("data: ") and len(line) > 6]
    events = [json.loads(line)["data"]["sendMessage"] for line in data]
    for source in (source for event in events for source in event.get("message", {}).get("sources", [])):
        source["document_id"] = source["documentId"]
    return gathered(events)


def gathered(events: list[dict[str, Any]]) -> Answer:
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    routes = next(event["routes"] for event in events if "routes" in event)
    message = events[-1]["message"]
    assert "".join(event["text"] for event in events if "text" in event) == message["text"]
    return Answer({route["agent"]["name"] for route in routes}, message["text"], message["sources"])


@pytest.mark.parametrize("transport", [rest_json, rest_sse, graphql_sse], ids=lambda it: it.__name__)
async def test_five_questions_in_one_chat(url: str, transport: Callable[..., Awaitable[Answer]]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        auth = await signed_up(client, transport.__name__)
        chat = (await client.post("/api/v1/chat/new-chat", headers=auth)).json()
        for expected in QUESTIONS:
            answer = await transport(client, auth, chat["chat_id"], expected.question)
            assert answer.agents == expected.agents, expected
            assert expected.fact in answer.text, (expected, answer.text)
            if expected.first_source is None:
                assert answer.sources == []
            else:
                first = answer.sources[0]
                assert f"{first['agent']}/{first['document_id']}".startswith(expected.first_source), (expected, first)
            if expected.agents == {"taxgenii-api", "pricing"}:
                assert {source["agent"] for source in answer.sources} == expected.agents
                assert "$6.50" in answer.text
