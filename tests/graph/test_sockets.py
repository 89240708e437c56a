"""graphql-transport-ws, as PROTOCOL.md of graphql-ws states it, and what this API adds: logins and error codes."""

import asyncio
from typing import Any

import pytest
import websockets

from graph.sockets import bearer, token_in
from tests.graph.desk import PASSWORD, TEXT, Desk, Held
from tests.graph.sockets import connect, signed_in

SEND = """subscription Send($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename seq turnId
  ... on AnswerDelta { text }
  ... on TurnCompleted { message { text turn { status } sources { ordinal spans { start end } } } }
  ... on TurnEnded { status error { code } message { text } }
} }"""
RESUME = """subscription($turn: ID!, $after: Int! = 0) { resumeTurn(turnId: $turn, after: $after) {
  __typename seq ... on AnswerDelta { text } } }"""


def message(chat: str, **members: Any) -> dict[str, Any]:
    return {"input": {"sessionId": chat, "text": "What does Nano cost?", **members}}


async def test_sending_streams_the_turn_to_its_end(desk: Desk, token: str, chat: str) -> None:
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat))
        events = [payload["data"]["sendMessage"] async for payload in socket.results()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["__typename"] for event in events[:2]] == ["TurnStarted", "RouteChosen"]
    assert "".join(event.get("text", "") for event in events) == TEXT
    assert events[-1]["__typename"] == "TurnCompleted"
    assert events[-1]["message"] == {
        "text": TEXT,
        "turn": {"status": "COMPLETED"},
        "sources": [{"ordinal": 1, "spans": [{"start": 21, "end": 24}]}],
    }


async def test_leaving_stops_nothing_and_resuming_gives_exactly_the_rest(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat))
        seen = [(await socket.receive())["payload"]["data"]["sendMessage"] for _ in range(3)]
    held.release.set()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(RESUME, {"turn": seen[0]["turnId"], "after": seen[-1]["seq"]})
        rest = [payload["data"]["resumeTurn"] async for payload in socket.results()]
    assert [event["seq"] for event in seen + rest] == [1, 2, 3, 4, 5]
    assert "".join(event.get("text", "") for event in seen + rest) == TEXT
    assert rest[-1]["__typename"] == "TurnCompleted"


async def test_completing_from_the_client_ends_the_following_and_not_the_turn(
    desk: Desk, token: str, chat: str
) -> None:
    desk.workflow = held = Held()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat))
        turn = (await socket.receive())["payload"]["data"]["sendMessage"]["turnId"]
        await socket.receive()
        await socket.receive()
        await socket.send({"id": "1", "type": "complete"})
        await socket.send({"type": "ping", "payload": {"still": "here"}})
        assert await socket.receive() == {"type": "pong", "payload": {"still": "here"}}
        held.release.set()
        await socket.subscribe(RESUME, {"turn": turn, "after": 3})
        assert [p["data"]["resumeTurn"]["seq"] async for p in socket.results()] == [4, 5]


async def test_a_client_that_leaves_while_it_sends_keeps_no_chat_busy(desk: Desk, token: str) -> None:
    chats = [await desk.new_chat(token) for _ in range(40)]
    async with signed_in(desk, token) as socket:
        for number, chat in enumerate(chats):
            await socket.subscribe(SEND, message(chat), id=str(number))
        await socket.receive()
    busy = "{ sessions(first: 100) { edges { node { activeTurn { id } } } } }"
    async with asyncio.timeout(10):
        while any(edge["node"]["activeTurn"] for edge in (await desk.data(busy, token=token))["sessions"]["edges"]):
            await asyncio.sleep(0.05)


async def test_sending_again_with_the_same_key_replays_after_the_cursor(desk: Desk, token: str, chat: str) -> None:
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat, clientMessageId="k1"))
        first = [payload["data"]["sendMessage"] async for payload in socket.results()]
        await socket.subscribe(SEND, message(chat, clientMessageId="k1", after=3))
        again = [payload["data"]["sendMessage"] async for payload in socket.results()]
    assert again == first[3:]


async def test_errors_before_the_first_event_are_error_messages_and_the_socket_stays_open(
    desk: Desk, token: str, chat: str
) -> None:
    desk.workflow = held = Held()
    async with signed_in(desk, token) as socket:
        for number, (variables, code) in enumerate(
            [
                (message(chat, text=" "), "BAD_USER_INPUT"),
                (message(chat, after=-1), "BAD_USER_INPUT"),
                (message("bm9wZQ=="), "BAD_USER_INPUT"),
                (message("Q2hhdFNlc3Npb246OTk5OTk5OTk5"), "NOT_FOUND"),
                (message(chat, agents=["nobody"]), "BAD_USER_INPUT"),
                ({"input": {"sessionId": chat}}, "BAD_USER_INPUT"),
            ]
        ):
            await socket.subscribe(SEND, variables, id=f"bad-{number}")
            told = await socket.receive()
            assert (told["id"], told["type"]) == (f"bad-{number}", "error")
            assert [error["extensions"]["code"] for error in told["payload"]] == [code]
        await socket.subscribe(SEND, message(chat), id="good")
        turn = (await socket.receive())["payload"]["data"]["sendMessage"]["turnId"]
        await socket.receive(), await socket.receive()
        await socket.subscribe(SEND, message(chat), id="busy")
        (error,) = (await socket.receive())["payload"]
        assert error["extensions"]["code"] == "CHAT_BUSY"
        assert error["extensions"]["retryable"] is True
        assert error["extensions"]["details"] == {"turnId": turn}
        held.release.set()


async def test_bad_documents_end_their_own_operation_only(desk: Desk, token: str) -> None:
    async with signed_in(desk, token) as socket:
        for number, (query, code) in enumerate(
            [
                ("{ agents {", "GRAPHQL_PARSE_FAILED"),
                ("{" * 30_000, "GRAPHQL_PARSE_FAILED"),
                ("{a" * 4_000 + "}" * 4_000, "GRAPHQL_PARSE_FAILED"),
                ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
                ("query A { viewer { id } } query B { viewer { id } }", "OPERATION_RESOLUTION_FAILURE"),
            ]
        ):
            await socket.subscribe(query, id=str(number))
            told = await socket.receive()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", code)
        await socket.subscribe("query A { viewer { id } }", id="x", operationName="B")
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"
        await socket.subscribe("{ agents { name } }", id="y")
        assert (await anext(socket.results("y")))["data"]["agents"]


async def test_an_anonymous_socket_can_sign_in_and_nothing_else(desk: Desk) -> None:
    await desk.sign_up("ada")
    async with connect(desk) as socket:
        assert await socket.init() == {"type": "connection_ack"}
        await socket.subscribe("{ agents { name } }", id="a")
        told = await socket.receive()
        assert told["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await socket.receive()) == {"id": "a", "type": "complete"}
        await socket.subscribe(RESUME, {"turn": "VHVybjox"}, id="b")
        told = await socket.receive()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
        login = f'mutation {{ login(input: {{username: "ada", password: "{PASSWORD}"}}) {{ accessToken }} }}'
        await socket.subscribe(login, id="c")
        assert (await anext(socket.results("c")))["data"]["login"]["accessToken"]


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer nonsense"},
        {"token": "nonsense"},
        {"authorization": "Basic abc"},
        {"authorization": 7},
        {"accessToken": "é\ud800"},
    ],
)
async def test_a_bad_token_is_forbidden(desk: Desk, payload: Any) -> None:
    async with connect(desk) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.closed() == 4403


@pytest.mark.parametrize("name", ["authorization", "Authorization", "token", "accessToken"])
async def test_every_spelling_of_the_token_is_understood(desk: Desk, token: str, name: str) -> None:
    async with connect(desk) as socket:
        assert await socket.init({name: token}) == {"type": "connection_ack"}
        await socket.subscribe("{ viewer { username } }")
        assert (await anext(socket.results()))["data"] == {"viewer": {"username": "ada"}}


async def test_the_handshake_may_carry_the_token(desk: Desk, token: str) -> None:
    async with connect(desk, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        assert await socket.init() == {"type": "connection_ack"}
        await socket.subscribe("{ viewer { username } }")
        assert (await anext(socket.results()))["data"] == {"viewer": {"username": "ada"}}


async def test_logging_out_ends_streams_with_an_error_and_closes_their_sockets(
    desk: Desk, token: str, chat: str
) -> None:
    desk.workflow = Held()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat))
        for _ in range(3):
            await socket.receive()
        async with asyncio.timeout(20):
            assert await desk.data("mutation { logout }", token=token) == {"logout": True}
            told = await socket.receive()
            assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
            assert await socket.closed() == 4403
    await desk.nothing_is_open()


async def test_a_closed_socket_leaves_nothing_behind(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat))
        turn = (await socket.receive())["payload"]["data"]["sendMessage"]["turnId"]
        assert desk.streams._ends
    held.release.set()
    async with signed_in(desk, token) as socket:
        await socket.subscribe(RESUME, {"turn": turn})
        assert [p async for p in socket.results()]
    async with connect(desk) as socket:
        await socket.init()
    await desk.nothing_is_open()


async def test_half_a_character_is_bad_input_and_the_socket_stays_open(desk: Desk, token: str, chat: str) -> None:
    async with signed_in(desk, token) as socket:
        await socket.subscribe(SEND, message(chat, text="half \ud83d"))
        told = await socket.receive()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "BAD_USER_INPUT")
        await socket.subscribe("query($n: Int) { sessions(first: $n) { edges { cursor } } }", {"n": "half \ud83d"})
        (error,) = (await socket.receive())["payload"]
        assert "half a character" in error["message"]
        await socket.subscribe("{ viewer { id } }")
        assert (await anext(socket.results()))["data"]["viewer"]


async def test_pages_of_other_origins_are_let_in_only_when_they_are_configured(desk: Desk) -> None:
    async with connect(desk, origin="https://app.example") as socket:
        assert await socket.init() == {"type": "connection_ack"}
    with pytest.raises(websockets.InvalidStatus):
        async with connect(desk, origin="https://elsewhere.example"):
            pass


def test_tokens_are_found_under_the_names_that_clients_use() -> None:
    assert token_in({"authorization": "bearer  abc "}) == "abc"
    assert token_in({"token": "abc"}) == "abc"
    assert token_in({"other": "abc"}) is None
    assert bearer("abc") == ""
    assert bearer("Bearer é") == ""
