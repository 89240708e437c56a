"""Chats, messages, sources, turns and agents over GraphQL, and whose they are."""

from typing import Any

import pytest
from sqlalchemy import event

from domain.model import Viewer
from tests.graph.desk import TEXT, Desk, Held, code_of, global_id

SESSIONS = """query($first: Int, $after: String, $search: String) {
  sessions(first: $first, after: $after, search: $search) {
    edges { cursor node { id chatId title createdAt updatedAt activeTurn { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
MESSAGES = """query($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
  messages(sessionId: $id, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { id role text createdAt rating turn { id } sources { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
NEW = "mutation($input: NewChatInput) { newChat(input: $input) { id chatId title } }"
RENAME = "mutation($id: ID!, $title: String!) { renameChat(sessionId: $id, title: $title) { title } }"
DELETE = "mutation($id: ID!) { deleteChat(sessionId: $id) }"
RATE = "mutation($id: ID!, $rating: Rating!) { rateMessage(messageId: $id, rating: $rating) { id rating } }"
STOP = "mutation($id: ID!) { stopTurn(turnId: $id) { id status routes { agent { name title description } } } }"
NODE = "query($id: ID!) { node(id: $id) { __typename id } }"


async def told(desk: Desk, token: str, chat: str, text: str = "What does Nano cost?") -> Viewer:
    """Sends a message and waits for the end of its turn."""
    viewer = await desk.services.accounts.authenticate(token)
    chat_id = (await desk.data("query($id: ID!) { session(id: $id) { chatId } }", {"id": chat}, token))["session"][
        "chatId"
    ]
    turn = await desk.services.turns.send(viewer, chat_id, text)
    async for _ in desk.services.turns.follow(viewer, turn.id):
        pass
    return viewer


async def test_chats_are_opened_renamed_found_and_deleted(desk: Desk, token: str) -> None:
    plain = (await desk.data("mutation { newChat { id chatId title } }", token=token))["newChat"]
    named = (await desk.data(NEW, {"input": {"title": "Taxes 100%"}}, token))["newChat"]
    assert (plain["title"], named["title"]) == ("New chat", "Taxes 100%")
    assert plain["id"] == global_id("ChatSession", plain["chatId"])
    assert (await desk.data(NEW, {"input": None}, token))["newChat"]["title"] == "New chat"
    assert (await desk.data(NEW, {"input": {"title": None}}, token))["newChat"]["title"] == "New chat"
    renamed = await desk.data(RENAME, {"id": plain["id"], "title": "Refunds"}, token)
    assert renamed == {"renameChat": {"title": "Refunds"}}
    found = (await desk.data(SESSIONS, {"search": "100%"}, token))["sessions"]["edges"]
    assert [edge["node"]["id"] for edge in found] == [named["id"]]
    assert await desk.data(DELETE, {"id": named["id"]}, token) == {"deleteChat": named["id"]}
    assert await desk.data("query($id: ID!) { session(id: $id) { id } }", {"id": named["id"]}, token) == {
        "session": None
    }
    assert code_of(await desk.ask(DELETE, {"id": named["id"]}, token)) == "NOT_FOUND"


async def test_chats_are_paged_the_most_recent_first(desk: Desk, token: str) -> None:
    chats = [await desk.new_chat(token) for _ in range(5)]
    seen: list[str] = []
    after = None
    while True:
        page = (await desk.data(SESSIONS, {"first": 2, "after": after}, token))["sessions"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        assert after == page["edges"][-1]["cursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(seen) == sorted(chats)
    assert len((await desk.data(SESSIONS, {"first": None}, token))["sessions"]["edges"]) == 5
    empty = (await desk.data(SESSIONS, {"search": "nothing like it"}, token))["sessions"]
    assert empty == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (SESSIONS, {"first": 101}),
        (SESSIONS, {"first": -1}),
        (SESSIONS, {"after": "nonsense"}),
        (SESSIONS, {"search": "x" * 300}),
        (MESSAGES, {"first": 101}),
        (MESSAGES, {"last": 101}),
        (MESSAGES, {"first": 1, "last": 1}),
        (MESSAGES, {"before": "nonsense", "last": 1}),
    ],
)
async def test_pages_that_cannot_be_are_refused_with_the_reason(
    desk: Desk, token: str, chat: str, query: str, variables: Any
) -> None:
    answer = await desk.ask(query, {"id": chat, **variables}, token)
    assert code_of(answer) == "BAD_USER_INPUT"
    assert answer["errors"][0]["extensions"]["details"]["fields"]


async def test_messages_are_paged_from_both_ends_with_their_turns_and_sources(
    desk: Desk, token: str, chat: str
) -> None:
    for number in range(3):
        await told(desk, token, chat, f"Question {number}?")
    everything = (await desk.data(MESSAGES, {"id": chat}, token))["messages"]["edges"]
    assert [edge["node"]["role"] for edge in everything] == ["USER", "ASSISTANT"] * 3
    assert [edge["node"]["text"] for edge in everything[1::2]] == [TEXT] * 3
    assert [len(edge["node"]["sources"]) for edge in everything] == [0, 1] * 3
    assert everything[0]["node"]["turn"] == everything[1]["node"]["turn"] != everything[2]["node"]["turn"]
    page = (await desk.data(MESSAGES, {"id": chat, "last": 2}, token))["messages"]
    assert page["edges"] == everything[4:]
    assert page["pageInfo"]["hasPreviousPage"] is True
    before = page["pageInfo"]["startCursor"]
    assert (await desk.data(MESSAGES, {"id": chat, "last": 3, "before": before}, token))["messages"][
        "edges"
    ] == everything[1:4]
    after = everything[0]["cursor"]
    assert (await desk.data(MESSAGES, {"id": chat, "first": 1, "after": after}, token))["messages"][
        "edges"
    ] == everything[1:2]


async def test_more_messages_cost_no_more_statements(desk: Desk, token: str, chat: str) -> None:
    nested = "{ sessions { edges { node { messages { edges { node { sources { title } turn { status } } } } } } } }"
    statements: list[str] = []
    engine = desk.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    counts = []
    for _ in range(2):
        for _ in range(2):
            await told(desk, token, chat)
        statements.clear()
        await desk.data(nested, token=token)
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_the_running_turn_is_the_sessions_until_it_is_stopped(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    viewer = await desk.services.accounts.authenticate(token)
    turn = await desk.services.turns.send(viewer, 1, "What does Nano cost?")
    query = "query($id: ID!) { session(id: $id) { activeTurn { id status } } }"
    running = (await desk.data(query, {"id": chat}, token))["session"]["activeTurn"]
    assert running == {"id": global_id("Turn", turn.id), "status": "RUNNING"}
    stopped = (await desk.data(STOP, {"id": running["id"]}, token))["stopTurn"]
    assert stopped["status"] == "STOPPED"
    assert (await desk.data(query, {"id": chat}, token))["session"] == {"activeTurn": None}
    assert (await desk.data(STOP, {"id": running["id"]}, token))["stopTurn"]["status"] == "STOPPED"


async def test_an_agent_that_left_the_desk_still_has_its_name(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    held.release.set()
    await told(desk, token, chat)
    turn = (await desk.data(STOP, {"id": global_id("Turn", 1)}, token))["stopTurn"]
    assert turn["routes"] == [{"agent": {"name": "gone-agent", "title": "gone-agent", "description": ""}}]


async def test_answers_are_rated_and_questions_are_not(desk: Desk, token: str, chat: str) -> None:
    await told(desk, token, chat)
    question, answer = (
        edge["node"]["id"] for edge in (await desk.data(MESSAGES, {"id": chat}, token))["messages"]["edges"]
    )
    assert (await desk.data(RATE, {"id": answer, "rating": "DOWN"}, token))["rateMessage"]["rating"] == "DOWN"
    assert (await desk.data(MESSAGES, {"id": chat}, token))["messages"]["edges"][1]["node"]["rating"] == "DOWN"
    assert code_of(await desk.ask(RATE, {"id": question, "rating": "UP"}, token)) == "NOT_FOUND"
    assert code_of(await desk.ask(RATE, {"id": answer, "rating": "BEST"}, token)) == "BAD_USER_INPUT"


async def test_sources_are_told_whole_and_found_again_as_nodes(desk: Desk, token: str, chat: str) -> None:
    await told(desk, token, chat)
    answer = (await desk.data(MESSAGES, {"id": chat, "last": 1}, token))["messages"]["edges"][0]["node"]
    query = """query($id: ID!) { sources(messageId: $id) {
      id ordinal agent documentId title url excerpt score spans { start end } } }"""
    (source,) = (await desk.data(query, {"id": answer["id"]}, token))["sources"]
    assert source == {
        "id": answer["sources"][0]["id"],
        "ordinal": 1,
        "agent": "pricing",
        "documentId": "plans.md#nano",
        "title": "Plans",
        "url": "https://taxgenii.example/pricing/",
        "excerpt": "Nano: $9",
        "score": 0.5,
        "spans": [{"start": 21, "end": 24}],
    }
    assert (await desk.data(NODE, {"id": source["id"]}, token))["node"] == {"__typename": "Source", "id": source["id"]}


async def test_nodes_are_ones_own_and_somebody_elses_are_missing(desk: Desk, token: str, chat: str) -> None:
    await told(desk, token, chat)
    stranger = await desk.sign_up("eve")
    ids = {
        "User": global_id("User", 1),
        "ChatSession": chat,
        "Message": global_id("Message", 2),
        "Turn": global_id("Turn", 1),
        "Source": global_id("Source", "2-1"),
    }
    for kind, id in ids.items():
        assert await desk.data(NODE, {"id": id}, token) == {"node": {"__typename": kind, "id": id}}
        assert await desk.data(NODE, {"id": id}, stranger) == {"node": None}
    for missing in ("User:2", "Turn:999999999999999999", "Turn:9999999999999999999", "Source:2-9", "Message:77"):
        assert await desk.data(NODE, {"id": global_id(*missing.split(":"))}, token) == {"node": None}
    for operation, variables in (
        (RENAME, {"id": chat, "title": "Mine"}),
        (DELETE, {"id": chat}),
        (STOP, {"id": ids["Turn"]}),
        (RATE, {"id": ids["Message"], "rating": "UP"}),
        (MESSAGES, {"id": chat}),
        ("query($id: ID!) { sources(messageId: $id) { id } }", {"id": ids["Message"]}),
    ):
        assert code_of(await desk.ask(operation, variables, stranger)) == "NOT_FOUND"
        assert code_of(await desk.ask(operation, variables)) == "UNAUTHENTICATED"
    assert await desk.data("query($id: ID!) { session(id: $id) { id } }", {"id": chat}, stranger) == {"session": None}


@pytest.mark.parametrize(
    "id", ["", "7", "nonsense", "VHVybg==", "VHVybjo=", "VHVybjotMQ==", "VHVybjow", "\x00", "é", "QWdlbnQ6MQ=="]
)
async def test_what_is_no_id_is_bad_input_and_the_id_of_something_else_is_missing(
    desk: Desk, token: str, chat: str, id: str
) -> None:
    for operation, variables in ((NODE, {}), (RENAME, {"title": "x"}), (STOP, {}), (MESSAGES, {})):
        answer = await desk.ask(operation, {"id": id, **variables}, token)
        assert code_of(answer) == "BAD_USER_INPUT"
    assert code_of(await desk.ask(STOP, {"id": chat}, token)) == "NOT_FOUND"


async def test_the_agents_are_those_of_the_file(desk: Desk, token: str) -> None:
    agents = (await desk.data("{ agents { name title description } }", token=token))["agents"]
    assert [agent["name"] for agent in agents] == list(desk.services.agents.names)
    assert all(agent["title"] and agent["description"] for agent in agents)
    assert code_of(await desk.ask("{ agents { name } }")) == "UNAUTHENTICATED"
