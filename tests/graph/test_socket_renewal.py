"""A socket whose access token runs out: it ends, unless its client has shown a newer one on it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.accounts import Grant
from tests.graph.desk import PASSWORD, TEXT, Desk, Held
from tests.graph.raw_sockets import RawSocket, opened

HOUR = timedelta(minutes=60)
LEFT = timedelta(seconds=4)
"""Of the life of a token that is about to expire."""
SEND = """subscription($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on AnswerDelta { text } ... on TurnEnded { status } } }"""
REFRESH = "mutation($token: String!) { refreshToken(refreshToken: $token) { accessToken } }"


async def sign_up(desk: Desk, name: str) -> Grant:
    return await desk.services.accounts.sign_up(name, f"{name}@example.test", PASSWORD, address="127.0.0.1")


async def brief(desk: Desk, name: str) -> Grant:
    """A new account whose access token is about to expire. The tokens after it live as long as any."""
    desk.token_age = HOUR - LEFT
    try:
        return await sign_up(desk, name)
    finally:
        desk.token_age = timedelta()


async def begin(socket: RawSocket, chat: str) -> str:
    """The text that has come of a turn which goes on."""
    await socket.subscribe(SEND, {"input": {"sessionId": chat, "text": "What does Nano cost?"}}, id="turn")
    return "".join([(await socket.hear())["payload"]["data"]["sendMessage"].get("text", "") for _ in range(3)])


async def rest_of(socket: RawSocket) -> str:
    """The text of the turn from here on, to its end."""
    text = ""
    while (message := await socket.hear())["type"] == "next":
        text += message["payload"]["data"]["sendMessage"].get("text", "")
    assert message == {"id": "turn", "type": "complete"}
    return text


async def ended(socket: RawSocket) -> list[tuple[str, str, str]]:
    """Reads to the close with 4403; the id, type and code of what was said before it."""
    said: list[Any] = []
    assert await socket.closed(said) == (4403, "Forbidden")
    return [(message["id"], message["type"], message["payload"][0]["extensions"]["code"]) for message in said]


async def test_without_a_newer_token_the_streams_end_and_the_socket_with_4403(desk: Desk) -> None:
    desk.workflow = Held()
    grant = await brief(desk, "ada")
    chat = await desk.new_chat(grant.access_token)
    async with opened(desk.websocket) as socket:
        await socket.init(token=grant.access_token)
        await begin(socket, chat)
        assert await ended(socket) == [("turn", "error", "UNAUTHENTICATED")]
    await desk.nothing_is_open()


@pytest.mark.parametrize("way", ["refreshToken", "ping"])
async def test_with_a_newer_token_the_socket_and_its_streams_go_on(desk: Desk, way: str) -> None:
    desk.workflow = held = Held()
    grant = await brief(desk, "ada")
    chat = await desk.new_chat(grant.access_token)
    async with opened(desk.websocket) as socket, opened(desk.websocket) as other:
        await socket.init(token=grant.access_token)
        text = await begin(socket, chat)
        if way == "ping":
            newer = await desk.services.accounts.refresh(grant.refresh_token)
            message = {"type": "ping", "payload": {"authorization": f"Bearer {newer.access_token}"}}
            await socket.say(message)
            assert await socket.hear() == {**message, "type": "pong"}
        else:
            await socket.subscribe(REFRESH, {"token": grant.refresh_token}, id="refresh")
            assert (await socket.hear())["payload"]["data"]["refreshToken"]["accessToken"]
            assert (await socket.hear())["type"] == "complete"
        await other.init(token=grant.access_token)
        assert await ended(other) == []  # the token that both began with has expired
        await socket.subscribe("{ viewer { username } }", id="who")
        assert (await socket.hear())["payload"] == {"data": {"viewer": {"username": "ada"}}}
        assert (await socket.hear())["type"] == "complete"
        held.release.set()
        assert text + await rest_of(socket) == TEXT
        await socket.hears_pong()
    await desk.nothing_is_open()


async def test_the_newer_token_runs_out_as_the_first_did(desk: Desk) -> None:
    desk.workflow = Held()
    grant = await sign_up(desk, "ada")
    chat = await desk.new_chat(grant.access_token)
    async with opened(desk.websocket) as socket:
        await socket.init(token=grant.access_token)
        await begin(socket, chat)
        desk.token_age = HOUR - timedelta(seconds=1)
        await socket.subscribe(REFRESH, {"token": grant.refresh_token}, id="refresh")
        assert (await socket.hear())["type"] == "next"
        assert (await socket.hear())["type"] == "complete"
        assert await ended(socket) == [("turn", "error", "UNAUTHENTICATED")]
    await desk.nothing_is_open()


async def test_after_a_newer_token_of_another_login_it_is_that_logins_end_that_counts(desk: Desk) -> None:
    desk.workflow = Held()
    first = await sign_up(desk, "ada")
    chat = await desk.new_chat(first.access_token)
    second = await desk.services.accounts.login("ada", PASSWORD, address="127.0.0.1")
    async with opened(desk.websocket) as socket:
        await socket.init(token=first.access_token)
        await begin(socket, chat)
        await socket.say({"type": "ping", "payload": {"token": second.access_token}})
        assert (await socket.hear())["type"] == "pong"
        await desk.data("mutation { logout }", token=first.access_token)
        await socket.hears_pong()
        await desk.data("mutation { logout }", token=second.access_token)
        assert await ended(socket) == [("turn", "error", "UNAUTHENTICATED")]
    await desk.nothing_is_open()


@pytest.mark.parametrize("whose", ["nobody's", "ben's"])
async def test_a_token_that_is_not_the_users_own_closes_the_socket_with_4403(desk: Desk, whose: str) -> None:
    ada, ben = await sign_up(desk, "ada"), await sign_up(desk, "ben")
    async with opened(desk.websocket) as socket:
        await socket.init(token=ada.access_token)
        token = ben.access_token if whose == "ben's" else "nonsense"
        await socket.say({"type": "ping", "payload": {"accessToken": token}})
        assert await ended(socket) == []
    await desk.nothing_is_open()


async def test_refreshing_somebody_elses_token_gives_it_and_leaves_the_socket_its_user(desk: Desk) -> None:
    ada, ben = await sign_up(desk, "ada"), await sign_up(desk, "ben")
    async with opened(desk.websocket) as socket:
        await socket.init(token=ada.access_token)
        await socket.subscribe(REFRESH, {"token": ben.refresh_token}, id="refresh")
        assert (await socket.hear())["payload"]["data"]["refreshToken"]["accessToken"]
        assert (await socket.hear())["type"] == "complete"
        await socket.subscribe("{ viewer { username } }")
        assert (await socket.hear())["payload"] == {"data": {"viewer": {"username": "ada"}}}


async def test_an_anonymous_socket_stays_anonymous_whatever_its_pings_carry(desk: Desk) -> None:
    ada = await sign_up(desk, "ada")
    async with opened(desk.websocket) as socket:
        for token in (ada.access_token, "nonsense"):  # before it is initialised, and after
            await socket.say({"type": "ping", "payload": {"token": token}})
            assert await socket.hear() == {"type": "pong", "payload": {"token": token}}
            if token != "nonsense":
                await socket.init()
        await socket.subscribe("{ viewer { username } }")
        assert (await socket.hear())["payload"]["data"] == {"viewer": None}


async def test_a_renewal_that_comes_too_late_helps_nobody(desk: Desk) -> None:
    """The two cross: the socket is closed once, by whichever comes first, and nothing stays."""
    desk.workflow = Held()
    grant = await sign_up(desk, "ada")
    chat = await desk.new_chat(grant.access_token)
    async with opened(desk.websocket) as socket:
        await socket.init(token=grant.access_token)
        await begin(socket, chat)
        await asyncio.gather(
            desk.data("mutation { logout(everywhere: true) }", token=grant.access_token),
            socket.say({"type": "ping", "payload": {"token": grant.access_token}}),
        )
        said: list[Any] = []
        assert (await socket.closed(said))[0] == 4403
    await desk.nothing_is_open()
