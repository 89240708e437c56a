"""/chat: sessions, messages, sources, agents."""

import asyncio
from typing import Any

import pytest

from tests.rest.conftest import ANSWER, QUESTION, User


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({}, "New chat"),
        ({"content": b"", "headers": {"Content-Type": "application/json"}}, "New chat"),
        ({"content": b"", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, "New chat"),
        ({"json": None, "content": b"null", "headers": {"Content-Type": "application/json"}}, "New chat"),
        ({"json": {}}, "New chat"),
        ({"json": {"title": None}}, "New chat"),
        ({"json": {"title": " Taxes ", "color": "red"}}, "Taxes"),
    ],
)
async def test_a_new_chat_takes_a_title_or_nothing(user: User, options: dict[str, Any], title: str) -> None:
    chat = await user.ok("POST", "/chat/new-chat", 201, **options)
    assert chat.keys() == {"chat_id", "title", "created_at"}
    assert type(chat["chat_id"]) is int
    assert chat["title"] == title


async def test_sessions_page_newest_first(user: User) -> None:
    made = [(await user.ok("POST", "/chat/new-chat", 201, json={"title": f"Chat {n}"}))["chat_id"] for n in range(5)]
    first = await user.ok("GET", "/chat/sessions", params={"limit": 2})
    assert [chat["chat_id"] for chat in first["items"]] == made[:-3:-1]
    assert first["items"][0].keys() == {"id", "chat_id", "title", "created_at", "updated_at", "active_turn_id"}
    seen, cursor = [], None
    while True:
        page = await user.ok("GET", "/chat/sessions", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        assert page.keys() == {"items", "next_cursor"}
        seen += [chat["chat_id"] for chat in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_sessions_are_searched_by_title(user: User) -> None:
    for title in ("Taxes 2026", "Refunds", "100 % taxes"):
        await user.ok("POST", "/chat/new-chat", 201, json={"title": title})
    found = await user.ok("GET", "/chat/sessions", params={"search": "TAXES"})
    assert {chat["title"] for chat in found["items"]} == {"Taxes 2026", "100 % taxes"}
    found = await user.ok("GET", "/chat/sessions", params={"search": "%"})
    assert [chat["title"] for chat in found["items"]] == ["100 % taxes"]


async def test_renaming_and_deleting(user: User, chat_id: int) -> None:
    renamed = await user.ok("PATCH", f"/chat/{chat_id}", json={"title": "Plans"})
    assert (renamed["chat_id"], renamed["title"]) == (chat_id, "Plans")
    assert await user.ok("DELETE", f"/chat/{chat_id}", 204) is None
    assert (await user.call("DELETE", f"/chat/{chat_id}")).status_code == 404
    assert (await user.ok("GET", "/chat/sessions"))["items"] == []


async def test_messages_page_oldest_first_with_their_sources(user: User, chat_id: int) -> None:
    for _ in range(2):
        await user.asked(chat_id)
    listed = await user.ok("GET", f"/chat/{chat_id}/messages")
    assert [message["role"] for message in listed["items"]] == ["USER", "ASSISTANT"] * 2
    question, answer = listed["items"][:2]
    assert question.keys() == {"id", "role", "text", "created_at", "turn_id", "rating", "sources"}
    assert (question["text"], question["sources"]) == (QUESTION, [])
    assert question["turn_id"] == answer["turn_id"]
    assert [source["ordinal"] for source in answer["sources"]] == [1, 2]
    fields = {
        "id",
        "ordinal",
        "agent",
        "document_id",
        "title",
        "url",
        "excerpt",
        "score",
        "spans",
        "document_spans",
        "flagged",
    }
    assert all(source.keys() == fields for source in answer["sources"])
    assert await user.ok("GET", f"/chat/messages/{answer['id']}/sources") == answer["sources"]
    assert await user.ok("GET", f"/chat/messages/{question['id']}/sources") == []

    page = await user.ok("GET", f"/chat/{chat_id}/messages", params={"limit": 3})
    rest = await user.ok("GET", f"/chat/{chat_id}/messages", params={"limit": 3, "cursor": page["next_cursor"]})
    assert page["items"] + rest["items"] == listed["items"]
    assert rest["next_cursor"] is None
    assert ANSWER.startswith(answer["text"][:20])


async def test_the_agents_are_those_of_the_viewer(user: User) -> None:
    agents = await user.ok("GET", "/chat/agents")
    assert {agent["name"] for agent in agents} == {"help-guides", "pricing", "taxgenii-api", "website-content"}
    assert all(agent.keys() == {"name", "title", "description"} for agent in agents)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "ÿ"}, "cursor"),
        ({"search": "a\x00b"}, "search"),
    ],
)
async def test_queries_that_do_not_fit_are_named(user: User, query: dict[str, str], field: str) -> None:
    response = await user.call("GET", "/chat/sessions", params=query)
    assert response.status_code == 422
    assert list(response.json()["error"]["details"]["fields"]) == [field]


async def test_what_is_somebody_elses_is_not_there(user: User, stranger: User, chat_id: int) -> None:
    await user.asked(chat_id)
    answer = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1]
    message_id, turn_id = answer["id"], answer["turn_id"]
    calls: list[tuple[str, str, Any]] = [
        ("PATCH", "/chat/{0}", {"title": "Mine"}),
        ("DELETE", "/chat/{0}", None),
        ("GET", "/chat/{0}/messages", None),
        ("POST", "/chat/message", {"chat_id": chat_id, "message": "hello"}),
        ("GET", "/chat/messages/{1}/sources", None),
        ("GET", "/chat/turns/{2}/events", None),
        ("POST", "/chat/turns/{2}/stop", None),
    ]
    for method, path, body in calls:
        theirs = await stranger.call(method, path.format(chat_id, message_id, turn_id), json=body)
        missing_body = {**body, "chat_id": 10**17} if body and "chat_id" in body else body
        missing = await stranger.call(method, path.format(*[10**17] * 3), json=missing_body)
        for response in (theirs, missing):
            assert response.status_code == 404, (method, path)
        assert [{**r.json()["error"], "request_id": ""} for r in (theirs,)] == [
            {**r.json()["error"], "request_id": ""} for r in (missing,)
        ]
    assert (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1] == answer


async def test_many_chats_at_once(user: User) -> None:
    made = await asyncio.gather(*(user.new_chat() for _ in range(20)))
    assert len(set(made)) == 20
