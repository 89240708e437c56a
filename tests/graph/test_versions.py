"""Asking while the session is busy, and answers written anew, over GraphQL."""

import json
from typing import Any

from sqlalchemy import event

from domain.model import OnBusy, TurnStatus
from tests.graph.desk import TEXT, Desk, Held, code_of, global_id
from tests.graph.test_chat_operations import MESSAGES, STOP, told

SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) { __typename seq turnId
  ... on TurnEnded { status } } }"""
AGAIN = """mutation($id: ID!, $key: String, $busy: OnBusy) {
  regenerate(messageId: $id, clientMessageId: $key, onBusy: $busy) { id status } }"""
AGAIN_PLAIN = "mutation($id: ID!) { regenerate(messageId: $id) { id status } }"
RESUME = """subscription($id: ID!) { resumeTurn(turnId: $id) { __typename seq
  ... on TurnStarted { userMessage { id } } ... on TurnCompleted { message { id text versions { id } } } } }"""
NODE_STATUS = "query($id: ID!) { node(id: $id) { ... on Turn { status } } }"
VERSIONS = """query($id: ID!) { node(id: $id) { ... on Message { id versions {
  id text sources { title } turn { id status } } } } }"""


async def messages(desk: Desk, token: str, chat: str) -> list[dict[str, Any]]:
    found = await desk.data(MESSAGES, {"id": chat}, token)
    return [edge["node"] for edge in found["messages"]["edges"]]


async def streamed(desk: Desk, query: str, variables: dict[str, Any], token: str) -> list[Any]:
    """The payloads of a subscription over server-sent events, to its end."""
    body = {"query": query, "variables": variables}
    response = await desk.post(body, token, headers={"accept": "text/event-stream"})
    lines = response.text.splitlines()
    assert "event: complete" in lines
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_an_answer_is_written_anew_and_the_old_one_stays(desk: Desk, token: str, chat: str) -> None:
    await told(desk, token, chat)
    question, old = await messages(desk, token, chat)
    begun = (await desk.data(AGAIN_PLAIN, {"id": old["id"]}, token))["regenerate"]
    assert begun == {"id": global_id("Turn", 2), "status": "RUNNING"}
    events = [answer["data"]["resumeTurn"] for answer in await streamed(desk, RESUME, {"id": begun["id"]}, token)]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["userMessage"]["id"] == question["id"]
    new = events[-1]["message"]
    assert (new["text"], [version["id"] for version in new["versions"]]) == (TEXT, [old["id"], new["id"]])
    assert [message["id"] for message in await messages(desk, token, chat)] == [question["id"], new["id"]]

    for id in (old["id"], new["id"]):
        versions = (await desk.data(VERSIONS, {"id": id}, token))["node"]["versions"]
        assert [version["id"] for version in versions] == [old["id"], new["id"]]
        assert [version["turn"]["id"] for version in versions] == [old["turn"]["id"], begun["id"]]
        assert [source["title"] for source in versions[0]["sources"]] == ["Plans"]
    only = (await desk.data(VERSIONS, {"id": question["id"]}, token))["node"]["versions"]
    assert [version["id"] for version in only] == [question["id"]]


async def test_regenerating_is_safe_to_retry_and_ones_own(desk: Desk, token: str, chat: str) -> None:
    await told(desk, token, chat)
    _, old = await messages(desk, token, chat)
    first = await desk.data(AGAIN, {"id": old["id"], "key": "k", "busy": "REJECT"}, token)
    again = await desk.data(AGAIN, {"id": old["id"], "key": "k", "busy": "INTERRUPT"}, token)
    assert first["regenerate"]["id"] == again["regenerate"]["id"]
    stranger = await desk.sign_up("eve")
    assert code_of(await desk.ask(AGAIN_PLAIN, {"id": old["id"]}, stranger)) == "NOT_FOUND"
    assert code_of(await desk.ask(AGAIN_PLAIN, {"id": old["id"]})) == "UNAUTHENTICATED"
    assert code_of(await desk.ask(AGAIN_PLAIN, {"id": chat}, token)) == "NOT_FOUND"
    assert code_of(await desk.ask(AGAIN_PLAIN, {"id": "?"}, token)) == "BAD_USER_INPUT"
    too_long = await desk.ask(AGAIN, {"id": old["id"], "key": "k" * 129, "busy": "REJECT"}, token)
    assert code_of(too_long) == "BAD_USER_INPUT"


async def test_a_page_of_messages_with_their_versions_is_a_fixed_number_of_statements(
    desk: Desk, token: str, chat: str
) -> None:
    query = """query($id: ID!) { messages(sessionId: $id) { edges { node { versions { id sources { id }
      turn { id } } } } } }"""
    statements: list[str] = []
    engine = desk.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    counts = []
    for _ in range(2):
        await told(desk, token, chat)
        last = (await messages(desk, token, chat))[-1]
        turn = (await desk.data(AGAIN_PLAIN, {"id": last["id"]}, token))["regenerate"]["id"]
        await streamed(desk, RESUME, {"id": turn}, token)
        statements.clear()
        await desk.data(query, {"id": chat}, token)
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_a_busy_session_refuses_keeps_or_gives_way(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    viewer = await desk.services.accounts.authenticate(token)
    running = await desk.services.turns.send(viewer, 1, "First?")

    def asked(on_busy: str | None) -> dict[str, Any]:
        fields = {"sessionId": chat, "text": f"{on_busy}?"}
        return {"input": fields if on_busy is None else {**fields, "onBusy": on_busy}}

    for refusing in (None, "REJECT"):
        (refused,) = await streamed(desk, SEND, asked(refusing), token)
        assert refused["errors"][0]["extensions"]["code"] == "CHAT_BUSY"
        assert refused["errors"][0]["extensions"]["retryable"]
    (unknown,) = await streamed(desk, SEND, asked("PUSH"), token)
    assert "errors" in unknown

    queued = await desk.services.turns.send(viewer, 1, "Second?", on_busy=OnBusy.ENQUEUE)
    assert (await desk.data(NODE_STATUS, {"id": global_id("Turn", queued.id)}, token))["node"]["status"] == "QUEUED"
    assert (await desk.data(STOP, {"id": global_id("Turn", queued.id)}, token))["stopTurn"]["status"] == "STOPPED"

    held.release.set()
    events = [answer["data"]["sendMessage"] for answer in await streamed(desk, SEND, asked("ENQUEUE"), token)]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["__typename"] == "TurnCompleted"
    assert (await desk.services.turns.get(viewer, running.id)).status is TurnStatus.COMPLETED

    desk.workflow = Held()
    running = await desk.services.turns.send(viewer, 1, "First?")
    desk.workflow = held
    events = [answer["data"]["sendMessage"] for answer in await streamed(desk, SEND, asked("INTERRUPT"), token)]
    assert events[-1]["__typename"] == "TurnCompleted"
    assert (await desk.services.turns.get(viewer, running.id)).status is TurnStatus.STOPPED
