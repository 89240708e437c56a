"""graphql-transport-ws, rule by rule, on a bare connection.

After https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md; tests/graph/test_sockets.py has what this API adds.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from graph.sockets import MAX_MESSAGE_BYTES
from settings import Settings
from tests.graph.desk import PIECES, TEXT, Desk, Held
from tests.graph.raw_sockets import BINARY, CONTINUATION, PING, PONG, PROTOCOL, close_frame, frame, opened

pytestmark = pytest.mark.conformance("graphql-transport-ws")

AGENTS = "{ agents { name } }"
TYPENAME = "{ __typename }"
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  seq turnId ... on AnswerDelta { text } ... on TurnCompleted { message { text } } } }"""
RESUME = "subscription($turn: ID!) { resumeTurn(turnId: $turn) { seq } }"


def asking(chat: str) -> dict[str, Any]:
    return {"input": {"sessionId": chat, "text": "What does Nano cost?"}}


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {}))


HURRIED = pytest.mark.parametrize("settings", [{"socket_init_seconds": 0.3}], indirect=True)


@asynccontextmanager
async def database_held(desk: Desk) -> AsyncIterator[None]:
    """Whatever asks the database waits: the desk has one connection."""
    released, holding = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_: object) -> None:
        loop.call_soon_threadsafe(holding.set)
        released.wait(30)

    held = asyncio.create_task(desk.database.read_at_once(hold))
    await holding.wait()
    try:
        yield
    finally:
        released.set()
        await held


# ---------------------------------------------------------------- the handshake


async def test_the_subprotocol_is_chosen_from_those_that_are_offered_and_no_extension_is(desk: Desk) -> None:
    compression = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    for offered in ((PROTOCOL,), ("graphql-ws", PROTOCOL), ("other", PROTOCOL, "graphql-ws")):
        async with opened(desk.websocket, offered, compression) as socket:
            assert (socket.handshake.status, socket.handshake.headers["sec-websocket-protocol"]) == (101, PROTOCOL)
            assert "sec-websocket-extensions" not in socket.handshake.headers
            await socket.init()


@pytest.mark.parametrize("offered", [(), ("graphql-ws",), ("other",), ("Graphql-Transport-WS",)])
async def test_without_the_subprotocol_the_socket_is_closed_with_4406(desk: Desk, offered: tuple[str, ...]) -> None:
    async with opened(desk.websocket, offered) as socket:
        assert "sec-websocket-protocol" not in socket.handshake.headers
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


# ---------------------------------------------------------------- connection_init


@pytest.mark.parametrize("message", [{}, {"payload": None}, {"payload": {}}, {"payload": {"anything": [1]}}])
async def test_an_initialisation_is_acknowledged_with_any_payload_or_none(desk: Desk, message: dict[str, Any]) -> None:
    async with opened(desk.websocket) as socket:
        await socket.say({"type": "connection_init", **message})
        assert await socket.hear() == {"type": "connection_ack"}


async def test_a_connection_that_is_not_allowed_is_closed_with_4403(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.say({"type": "connection_init", "payload": {"authorization": "Bearer nonsense"}})
        assert await socket.closed() == (4403, "Forbidden")


@HURRIED
async def test_a_socket_that_is_not_initialised_in_time_is_closed_with_4408(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.hears_pong()
        assert await socket.closed() == (4408, "Connection initialisation timeout")


def test_the_time_for_initialising_is_five_seconds_unless_it_is_set() -> None:
    assert Settings(_env_file=None).socket_init_seconds == 5


@HURRIED
async def test_an_initialisation_in_time_may_take_longer_to_be_acknowledged(desk: Desk, token: str) -> None:
    async with opened(desk.websocket) as socket:
        async with database_held(desk):
            await socket.say({"type": "connection_init", "payload": {"token": token}})
            async with opened(desk.websocket) as later:  # its time is up after the other's would have been
                assert (await later.closed())[0] == 4408
        assert await socket.hear() == {"type": "connection_ack"}


async def test_a_second_initialisation_closes_the_socket_with_4429(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        await socket.say({"type": "connection_init"})
        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_a_second_initialisation_while_the_first_is_pending_closes_the_socket_with_4429(
    desk: Desk, token: str
) -> None:
    async with opened(desk.websocket) as socket:
        async with database_held(desk):
            await socket.say({"type": "connection_init", "payload": {"token": token}})
            await socket.say({"type": "connection_init", "payload": {"token": token}})
        before: list[Any] = []
        assert (await socket.closed(before))[0] == 4429
        assert before in ([], [{"type": "connection_ack"}])


# ---------------------------------------------------------------- ping and pong


@pytest.mark.parametrize("initialised", [False, True])
async def test_a_ping_is_answered_at_any_time_with_its_payload(desk: Desk, initialised: bool) -> None:
    async with opened(desk.websocket) as socket:
        if initialised:
            await socket.init()
        for payload in ({"a": [1, None, {"b": "é𝄞"}]}, {}):
            await socket.say({"type": "ping", "payload": payload})
            assert await socket.hear() == {"type": "pong", "payload": payload}
        for message in ({"type": "ping"}, {"type": "ping", "payload": None}):
            await socket.say(message)
            assert await socket.hear() == {"type": "pong"}


@pytest.mark.parametrize("initialised", [False, True])
async def test_a_pong_that_nobody_asked_for_is_ignored(desk: Desk, initialised: bool) -> None:
    async with opened(desk.websocket) as socket:
        if initialised:
            await socket.init()
        for message in ({"type": "pong"}, {"type": "pong", "payload": None}, {"type": "pong", "payload": {"a": 1}}):
            await socket.say(message)
        await socket.hears_pong()


# ---------------------------------------------------------------- subscribe, next, error, complete


async def test_an_operation_before_the_acknowledgement_closes_the_socket_with_4401(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.subscribe(TYPENAME)
        assert await socket.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize("operation", [TYPENAME, "mutation { __typename }"])
async def test_a_single_result_is_one_next_and_complete(desk: Desk, operation: str) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        await socket.subscribe(operation)
        answered = await socket.hear()
        assert (answered["id"], answered["type"], list(answered["payload"])) == ("1", "next", ["data"])
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.hears_pong()


async def test_what_may_be_missing_or_null_is(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        null = dict.fromkeys(("operationName", "variables", "extensions"))
        for payload in ({"query": TYPENAME}, {"query": TYPENAME, **null}, {"query": TYPENAME, "unknown": 1}):
            await socket.say({"id": "1", "type": "subscribe", "payload": payload, "unknown": 1})
            assert (await socket.hear())["payload"] == {"data": {"__typename": "Query"}}
            assert (await socket.hear())["type"] == "complete"


async def test_a_subscription_is_a_next_for_each_result_and_complete(desk: Desk, token: str, chat: str) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        await socket.subscribe(SEND, asking(chat), id="any id: é")
        text = ""
        while (message := await socket.hear())["type"] == "next":
            assert message["id"] == "any id: é"
            text += message["payload"]["data"]["sendMessage"].get("text", "")
        assert message == {"id": "any id: é", "type": "complete"}
        assert text == TEXT
        await socket.hears_pong()


async def test_operations_share_a_socket_and_end_each_for_itself(desk: Desk, token: str) -> None:
    desk.workflow = held = Held()
    chats = [await desk.new_chat(token) for _ in range(3)]
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        for number, chat in enumerate(chats):
            await socket.subscribe(SEND, asking(chat), id=str(number))
        seen: dict[str, str] = dict.fromkeys("012", "")
        for _ in range(3 * 3):
            message = await socket.hear()
            seen[message["id"]] += message["payload"]["data"]["sendMessage"].get("text", "")
        assert seen == dict.fromkeys("012", PIECES[0])
        await socket.say({"id": "1", "type": "complete"})
        await socket.hears_pong()
        held.release.set()
        ended: list[str] = []
        while len(ended) < 2:
            message = await socket.hear()
            if message["type"] == "complete":
                ended.append(message["id"])
            else:
                seen[message["id"]] += message["payload"]["data"]["sendMessage"].get("text", "")
        assert (sorted(ended), seen) == (["0", "2"], {"0": TEXT, "1": PIECES[0], "2": TEXT})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ agents {", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("", "BAD_USER_INPUT"),
        ("query($n: Int!) { sessions(first: $n) { edges { cursor } } }", "BAD_USER_INPUT"),
        (RESUME.replace("$turn: ID!", "$turn: ID"), "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_run_is_an_error_without_complete_and_the_socket_is_kept(
    desk: Desk, query: str, code: str
) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        for _ in range(2):  # an id that ended in an error is free again
            await socket.subscribe(query)
            told = await socket.hear()
            assert (told["id"], told["type"]) == ("1", "error")
            assert told["payload"]
            assert all(isinstance(error["message"], str) for error in told["payload"])
            assert {error["extensions"]["code"] for error in told["payload"]} == {code}
            await socket.hears_pong()


async def test_a_subscription_that_fails_is_an_error_without_complete(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        await socket.subscribe(RESUME, {"turn": "VHVybjox"})
        told = await socket.hear()
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
        await socket.hears_pong()


async def test_nothing_more_comes_of_what_the_client_completed(desk: Desk, token: str, chat: str) -> None:
    """Neither events nor `complete`, also when it ends afterwards."""
    desk.workflow = held = Held()
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        await socket.subscribe(SEND, asking(chat))
        turn = (await socket.hear())["payload"]["data"]["sendMessage"]["turnId"]
        await socket.hear(), await socket.hear()
        await socket.say({"id": "1", "type": "complete"})
        await socket.hears_pong()
        held.release.set()
        await socket.subscribe(RESUME, {"turn": turn}, id="2")
        while (message := await socket.hear())["type"] == "next":
            assert message["id"] == "2"
        assert message == {"id": "2", "type": "complete"}
        await socket.hears_pong()


async def test_a_result_that_is_not_there_yet_never_comes_once_it_is_completed(desk: Desk, token: str) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        async with database_held(desk):
            for operation in ("{ viewer { id } }", "mutation { newChat { id } }", RESUME):
                await socket.subscribe(operation, {"turn": "VHVybjox"})
                await socket.say({"id": "1", "type": "complete"})
            await socket.hears_pong()
        await socket.subscribe("{ viewer { username } }")
        assert (await socket.hear())["payload"] == {"data": {"viewer": {"username": "ada"}}}
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.hears_pong()


@pytest.mark.parametrize("initialised", [False, True])
async def test_completing_an_unknown_id_is_ignored(desk: Desk, initialised: bool) -> None:
    async with opened(desk.websocket) as socket:
        if initialised:
            await socket.init()
        await socket.say({"id": "unknown", "type": "complete"})
        await socket.hears_pong()


async def test_an_id_is_free_again_when_its_operation_has_ended(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = held = Held()
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        for _ in range(3):
            await socket.subscribe(TYPENAME)
            assert [(await socket.hear())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.subscribe(SEND, asking(chat))
        turn = (await socket.hear())["payload"]["data"]["sendMessage"]["turnId"]
        await socket.hear(), await socket.hear()
        await socket.say({"id": "1", "type": "complete"})
        await socket.subscribe(RESUME, {"turn": turn})
        assert [(await socket.hear())["payload"]["data"]["resumeTurn"]["seq"] for _ in range(3)] == [1, 2, 3]
        held.release.set()


async def test_an_id_that_is_in_use_closes_the_socket_with_4409(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    for operation in (RESUME, TYPENAME):
        async with opened(desk.websocket) as socket:
            await socket.init(token=token)
            await socket.subscribe(SEND, {"input": {**asking(chat)["input"], "clientMessageId": "k"}}, id="its id")
            for _ in range(3):
                await socket.hear()
            await socket.subscribe(operation, {"turn": "VHVybjox"}, id="its id")
            assert await socket.closed() == (4409, "Subscriber for its id already exists")


async def test_an_id_is_in_use_while_its_operation_is_still_preparing(desk: Desk, token: str) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        async with database_held(desk):
            await socket.subscribe("{ viewer { id } }")
            await socket.subscribe("{ viewer { id } }")
            assert (await socket.closed())[0] == 4409


@pytest.mark.parametrize("settings", [{"max_operations_per_socket": 3}], indirect=True)
async def test_an_operation_too_many_is_refused_and_an_id_in_use_is_worse(desk: Desk, token: str) -> None:
    desk.workflow = Held()
    chats = [await desk.new_chat(token) for _ in range(4)]
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        for number in range(3):
            await socket.subscribe(SEND, asking(chats[number]), id=str(number))
            for _ in range(3):
                await socket.hear()
        await socket.subscribe(SEND, asking(chats[3]), id="too many")
        told = await socket.hear()
        (error,) = told["payload"]
        assert (told["id"], told["type"], error["extensions"]["code"]) == ("too many", "error", "RATE_LIMITED")
        assert (error["extensions"]["retryable"], error["extensions"]["details"]["retryAfter"]) == (True, 1)
        await socket.say({"id": "0", "type": "complete"})
        await socket.subscribe(SEND, asking(chats[3]), id="too many")
        assert (await socket.hear())["type"] == "next"
        await socket.subscribe(TYPENAME, id="1")
        assert (await socket.closed([]))[0] == 4409


# ---------------------------------------------------------------- what is no message

SUBSCRIBE: dict[str, Any] = {"id": "1", "type": "subscribe", "payload": {"query": TYPENAME}}


def changed(*, inside: bool = False, **members: Any) -> dict[str, Any]:
    if inside:
        return {**SUBSCRIBE, "payload": {**SUBSCRIBE["payload"], **members}}
    return {**SUBSCRIBE, **members}


def each(*values: Any) -> tuple[Any, ...]:
    return values


MISSHAPEN: dict[str, Any] = {
    "no JSON": "nonsense",
    "nothing": "",
    "half a message": '{"type": "ping"',
    "two messages": '{"type": "ping"} {"type": "ping"}',
    "nested deeply": "[" * 5_000,
    "no number of JSON": '{"type": "ping", "payload": {"a": NaN}}',
    "null": "null",
    "a number": "1",
    "a string": '"ping"',
    "a list": [],
    "a list of messages": [{"type": "ping"}],
    "without a type": {},
    "a type that is no string": {"type": 1},
    "a type that is an object": {"type": {"type": "ping"}},
    "an unknown type": {"type": "hello"},
    "a type of the old protocol": {"type": "start", "id": "1", "payload": {"query": TYPENAME}},
    "a type in other letters": {"type": "PING"},
    **{f"the server's {kind}": {"type": kind, "id": "1", "payload": {}} for kind in ("connection_ack", "next", "error")},
    **{f"a {kind} with a payload that is {json.dumps(payload)}": {"type": kind, "payload": payload}
       for kind in ("connection_init", "ping", "pong") for payload in each([], "text", 1, True)},
    "a ping that cannot be sent back": '{"type": "ping", "payload": {"a": "\\ud800"}}',
    "a ping that is nested more deeply than is written": '{"type": "ping", "payload": {"a": ' + "[" * 400 + "]" * 400 + "}}",
    "an id with half a character": '{"type": "subscribe", "id": "\\ud800", "payload": {"query": "{ __typename }"}}',
    "a complete without an id": {"type": "complete"},
    "a complete whose id is a number": {"type": "complete", "id": 1},
    "a complete whose id is empty": {"type": "complete", "id": ""},
    **{f"a subscribe whose id is {json.dumps(id)}": changed(id=id) for id in each(None, 1, "", [], {})},
    "a subscribe without an id": {"type": "subscribe", "payload": {"query": TYPENAME}},
    "a subscribe without a payload": {"type": "subscribe", "id": "1"},
    **{f"a subscribe whose payload is {json.dumps(payload)}": changed(payload=payload) for payload in each(None, [], "x", {})},
    **{f"a query that is {json.dumps(query)}": changed(inside=True, query=query) for query in each(None, 1, [], {})},
    **{f"variables that are {json.dumps(value)}": changed(inside=True, variables=value) for value in each(1, "{}", [])},
    **{f"extensions that are {json.dumps(value)}": changed(inside=True, extensions=value) for value in each(1, "{}", [])},
    **{f"an operationName that is {json.dumps(value)}": changed(inside=True, operationName=value) for value in each(1, [], {})},
}  # fmt: skip


@pytest.mark.parametrize("name", MISSHAPEN)
async def test_what_is_no_message_of_the_protocol_closes_the_socket_with_4400(desk: Desk, name: str) -> None:
    async with opened(desk.websocket) as socket:
        await socket.init()
        await socket.say(MISSHAPEN[name])
        code, reason = await socket.closed()
        assert code == 4400
        assert 0 < len(reason.encode()) <= 123


async def test_a_binary_frame_closes_the_socket_with_4400(desk: Desk) -> None:
    async with opened(desk.websocket) as socket:
        await socket.send(frame('{"type": "connection_init"}', BINARY))
        assert (await socket.closed())[0] == 4400


@pytest.mark.parametrize("text", [b"\xff", b'{"type": "ping", "payload": {"a": "\xed\xa0\x80"}}', b'{"type": "\xc3'])
async def test_text_that_is_not_utf_8_closes_the_socket_with_1007(desk: Desk, text: bytes) -> None:
    for sent in (frame(text), frame(text[:1], fin=False) + frame(text[1:], CONTINUATION)):
        async with opened(desk.websocket) as socket:
            await socket.send(sent)
            assert (await socket.closed())[0] == 1007


# ---------------------------------------------------------------- sizes


def ping_of(size: int) -> str:
    """A message of so many bytes."""
    return json.dumps({"type": "ping", "payload": {"a": ""}}).replace('""', f'"{"x" * (size - 38)}"')


async def test_a_message_of_64_kib_is_taken_however_it_is_cut(desk: Desk) -> None:
    message = ping_of(MAX_MESSAGE_BYTES).encode()
    assert len(message) == MAX_MESSAGE_BYTES == 65_536
    pieces = [frame(message[:1], fin=False), frame(b"", CONTINUATION, fin=False), frame(b"between", PING),
              frame(message[1:40_000], CONTINUATION, fin=False), frame(message[40_000:], CONTINUATION)]  # fmt: skip
    async with opened(desk.websocket) as socket:
        await socket.send(frame(message))
        assert (await socket.hear())["payload"] == json.loads(message)["payload"]
        await socket.send(b"".join(pieces))
        assert await socket.read_frame() == (PONG, b"between")
        assert (await socket.hear())["payload"] == json.loads(message)["payload"]


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1, 100_000, 4_000_000])
async def test_a_larger_message_closes_the_socket_with_1009_however_it_is_cut(desk: Desk, size: int) -> None:
    message = ping_of(size).encode()
    whole = frame(message)
    begun = frame(message[:60_000], fin=False) + frame(message[60_000:], CONTINUATION)
    announced = frame(b"", announced=size)
    for sent in (whole, begun, announced):
        async with opened(desk.websocket) as socket:
            await socket.send(sent)
            assert (await socket.closed())[0] == 1009


# ---------------------------------------------------------------- closing


async def test_a_close_of_the_clients_is_answered_and_ends_its_operations(desk: Desk, token: str, chat: str) -> None:
    desk.workflow = Held()
    async with opened(desk.websocket) as socket:
        await socket.init(token=token)
        await socket.subscribe(SEND, asking(chat))
        for _ in range(3):
            await socket.hear()
        assert desk.streams.places.taken
        await socket.send(close_frame(1000, b"Normal Closure"))
        assert await socket.closed() == (1000, "Normal Closure")
    await desk.nothing_is_open()
