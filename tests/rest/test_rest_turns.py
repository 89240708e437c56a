"""/chat/message and /chat/turns: streams, replays, stopping, leaving, logging out."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from domain.agents.grounding import NOT_GROUNDED
from tests.rest.conftest import ANSWER, QUESTION, User
from tests.rest.event_frames import LAST, Frame, arriving, read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import FilterPrompt, Hang, Refuse, Reset

BOTH_NAMES = pytest.mark.parametrize("path", ["/chat/message", "/chat/chat-lg"])


async def seen_until_delta(response: httpx.Response) -> list[Frame]:
    """The events up to the first piece of the answer."""
    frames = []
    async for frame in arriving(response):
        frames.append(frame)
        if frame.name == "answer_delta":
            return frames
    raise AssertionError("the stream ended before any text")


@BOTH_NAMES
async def test_streaming_is_the_default_and_the_text_is_what_is_stored(user: User, chat_id: int, path: str) -> None:
    async with user.stream("POST", path, json={"chat_id": chat_id, "message": QUESTION}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].split(";")[0] == "text/event-stream"
        stream = await response.aread()
    frames = read_frames(stream)
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.name for frame in frames][:2] == ["turn_started", "route_chosen"]
    assert frames[-1].name == "turn_completed"
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"]
    assert frames[0].data["user_message"] == stored[0]
    assert frames[-1].data["message"] == stored[1]
    assert text_of(frames) == stored[1]["text"]
    assert "Größe" in stored[1]["text"]


@BOTH_NAMES
async def test_without_streaming_the_answer_is_one_object(user: User, chat_id: int, path: str) -> None:
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    answer = await user.ok("POST", path, json=body)
    assert answer.keys() == {"turn_id", "message_id", "answer", "agents", "sources", "usage", "groundedness"}
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1]
    assert (answer["message_id"], answer["answer"], answer["sources"]) == (
        stored["id"],
        stored["text"],
        stored["sources"],
    )
    assert answer["agents"] == ["pricing"]
    assert answer["usage"]["completion_tokens"] == len(ANSWER.split())


async def test_how_far_an_answer_is_supported_is_told_and_kept(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    for said, share, note in ((ANSWER, 1.0, ""), ("Cats climb every curtain. [1]", 0.0, NOT_GROUNDED)):
        upstream.otherwise = said
        answer = await user.ok("POST", "/chat/message", json={"chat_id": chat_id, "message": QUESTION, "stream": False})
        assert answer["groundedness"] == share
        assert answer["answer"].endswith(note)
        kept = await user.ok("POST", f"/chat/turns/{answer['turn_id']}/stop")
        assert (kept["status"], kept["groundedness"]) == ("COMPLETED", share)


async def test_every_cursor_replays_the_rest_of_the_live_stream_byte_for_byte(user: User, chat_id: int) -> None:
    live = await user.asked(chat_id)
    frames = [frame + b"\n\n" for frame in live.split(b"\n\n")[:-1] if not frame.startswith(b":")]
    turn_id = read_frames(live)[0].data["turn_id"]
    for after in range(len(frames) + 1):
        by_header = await user.call("GET", f"/chat/turns/{turn_id}/events", headers={"Last-Event-ID": str(after)})
        by_query = await user.call("GET", f"/chat/turns/{turn_id}/events", params={"after": after})
        assert by_header.status_code == by_query.status_code == 200
        assert by_header.content == by_query.content == b"".join(frames[after:])
    both = await user.call(
        "GET", f"/chat/turns/{turn_id}/events", params={"after": 1}, headers={"Last-Event-ID": str(len(frames) - 1)}
    )
    assert both.content == frames[-1], "the header wins"
    beyond = await user.call("GET", f"/chat/turns/{turn_id}/events", params={"after": 10**17})
    assert (beyond.status_code, beyond.content) == (200, b"")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"params": {"after": "-1"}}, "after"),
        ({"params": {"after": "x"}}, "after"),
        ({"headers": {"Last-Event-ID": "x"}}, "last-event-id"),
        ({"headers": {"Last-Event-ID": "-1"}}, "last-event-id"),
    ],
)
async def test_cursors_that_are_none(user: User, chat_id: int, options: dict[str, dict[str, str]], field: str) -> None:
    turn_id = read_frames(await user.asked(chat_id))[0].data["turn_id"]
    response = await user.call("GET", f"/chat/turns/{turn_id}/events", **options)
    assert response.status_code == 422
    assert list(response.json()["error"]["details"]["fields"]) == [field]


async def test_stopping_keeps_what_was_written(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=5))
    async with user.ask(chat_id) as response:
        frames, stopped = [], None
        async for frame in arriving(response):
            frames.append(frame)
            if stopped is None and frame.name == "answer_delta":
                stopped = asyncio.create_task(user.ok("POST", f"/chat/turns/{frame.data['turn_id']}/stop"))
    assert stopped is not None
    turn = await stopped
    assert turn.keys() == {"id", "status", "standalone_question", "routes", "usage", "error", "groundedness"}
    assert (turn["status"], turn["error"]) == ("STOPPED", None)
    last = frames[-1]
    assert (last.name, last.data["status"], last.data["error"]) == ("turn_ended", "STOPPED", None)
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1]
    assert text_of(frames) == last.data["message"]["text"] == stored["text"] != ""
    assert len(stored["text"]) < len(ANSWER)
    assert await user.ok("POST", f"/chat/turns/{turn['id']}/stop") == turn, "an ended turn stays as it is"
    replayed = await user.call("GET", f"/chat/turns/{turn['id']}/events")
    assert read_frames(replayed.content) == frames


async def test_a_chat_answers_one_message_at_a_time(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=1))
    async with user.ask(chat_id) as response:
        turn_id = (await seen_until_delta(response))[0].data["turn_id"]
        busy = await user.call("POST", "/chat/message", json={"chat_id": chat_id, "message": "And micro?"})
        assert busy.status_code == 409
        assert busy.headers["content-type"] == "application/json"
        error = busy.json()["error"]
        assert (error["code"], error["retryable"], error["details"]) == ("CHAT_BUSY", True, {"turn_id": turn_id})
        sessions = await user.ok("GET", "/chat/sessions")
        assert sessions["items"][0]["active_turn_id"] == turn_id
        await user.ok("POST", f"/chat/turns/{turn_id}/stop")
    sessions = await user.ok("GET", "/chat/sessions")
    assert sessions["items"][0]["active_turn_id"] is None


async def test_a_message_id_asks_once_however_often_it_is_sent(user: User, chat_id: int) -> None:
    first = await user.asked(chat_id, client_message_id="m-1")
    assert read_frames(await user.asked(chat_id, client_message_id="m-1")) == read_frames(first)
    whole = await user.ok(
        "POST",
        "/chat/message",
        json={"chat_id": chat_id, "message": QUESTION, "client_message_id": "m-1", "stream": False},
    )
    assert whole["answer"] == text_of(read_frames(first))
    other = {"chat_id": chat_id, "message": "Something else", "client_message_id": "m-1"}
    response = await user.call("POST", "/chat/message", json=other)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert len((await user.ok("GET", f"/chat/{chat_id}/messages"))["items"]) == 2


async def test_leaving_stops_nothing(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=2))
    number = len(upstream.requests)
    async with user.ask(chat_id) as response:
        seen = await seen_until_delta(response)
    turn_id = seen[0].data["turn_id"]
    async with user.stream("GET", f"/chat/turns/{turn_id}/events", headers={"Last-Event-ID": "1"}) as response:
        again = await seen_until_delta(response)
        assert again[0] == seen[1]
        assert not upstream.requests[number].aborted, "the model is still at it"
        await user.ok("POST", f"/chat/turns/{turn_id}/stop")
    assert (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1]["text"].startswith("The Nano")


async def test_leaving_before_the_whole_answer_stops_nothing(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(Hang(after=2))
    number = len(upstream.requests)
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    waiting = asyncio.create_task(user.call("POST", "/chat/message", json=body))
    await asyncio.to_thread(upstream.wait_for_requests, number + 1)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    turn_id = (await user.ok("GET", "/chat/sessions"))["items"][0]["active_turn_id"]
    async with user.stream("GET", f"/chat/turns/{turn_id}/events") as response:
        await seen_until_delta(response)
        assert not upstream.requests[number].aborted
        assert (await user.ok("POST", f"/chat/turns/{turn_id}/stop"))["status"] == "STOPPED"


async def test_silence_is_filled_with_comments(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=1))
    async with user.ask(chat_id) as response:
        stream = b""
        async for chunk in response.aiter_raw():
            stream += chunk
            if stream.endswith(b"\n\n:\n\n:\n\n"):
                break
    await user.ok("POST", f"/chat/turns/{read_frames(stream)[0].data['turn_id']}/stop")


async def test_logout_ends_the_streams_of_that_login_within_a_second(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(Hang(after=1))
    loop = asyncio.get_running_loop()
    leaving = user.grant
    await user.sign_in()
    staying, user.grant = user.grant, leaving
    async with user.ask(chat_id) as response:
        seen = await seen_until_delta(response)
    turn_id = seen[0].data["turn_id"]
    async with user.stream("GET", f"/chat/turns/{turn_id}/events") as ending:
        user.grant = staying
        async with user.stream("GET", f"/chat/turns/{turn_id}/events") as going_on:
            user.grant = leaving
            began = loop.time()
            await user.ok("POST", "/auth/logout", 204)
            stream = await ending.aread()
            assert loop.time() - began < 1
            assert stream.endswith(b": closed: UNAUTHENTICATED\n\n")
            assert all(frame.name not in LAST for frame in read_frames(stream))
            assert (await user.call("GET", f"/chat/turns/{turn_id}/events")).status_code == 401
            user.grant = staying
            await user.ok("POST", f"/chat/turns/{turn_id}/stop")
            assert read_frames(await going_on.aread())[-1].name == "turn_ended", "the turn and other logins went on"


async def test_logout_ends_a_wait_for_the_whole_answer(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=1))
    number = len(upstream.requests)
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    waiting = asyncio.create_task(user.call("POST", "/chat/message", json=body))
    await asyncio.to_thread(upstream.wait_for_requests, number + 1)
    await user.ok("POST", "/auth/logout", 204)
    async with asyncio.timeout(20):
        response = await waiting
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    await user.sign_in()
    turn_id = (await user.ok("GET", "/chat/sessions"))["items"][0]["active_turn_id"]
    await user.ok("POST", f"/chat/turns/{turn_id}/stop")


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (FilterPrompt(), "CONTENT_FILTERED", 422),
        (Refuse(401, "401"), "MODEL_UNAVAILABLE", 503),
        (Reset(after=2), "MODEL_UNAVAILABLE", 503),
    ],
    ids=lambda value: str(value).partition("(")[0],
)
async def test_a_turn_that_failed_says_so_in_both_forms(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, fault: FilterPrompt | Refuse | Reset, code: str, status: int
) -> None:
    upstream.script(fault)
    frames = read_frames(await user.asked(chat_id))
    last = frames[-1]
    assert (last.name, last.data["status"], last.data["error"]["code"]) == ("turn_ended", "FAILED", code)
    assert last.data["message"]["text"] == text_of(frames)

    upstream.script(fault)
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    response = await user.call("POST", "/chat/message", json=body)
    assert response.status_code == status
    assert ("retry-after" in response.headers) is (status == 503)
    error = response.json()["error"]
    assert (error["code"], error["retryable"]) == (code, last.data["error"]["retryable"])
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][-1]
    assert error["details"] == {"turn_id": stored["turn_id"], "message_id": stored["id"]}


async def test_deleting_a_chat_ends_its_streams(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=1))
    async with user.ask(chat_id) as response:
        frames = []
        async for frame in arriving(response):
            frames.append(frame)
            if frame.name == "answer_delta" and len(frames) < 5:
                await user.ok("DELETE", f"/chat/{chat_id}", 204)
    assert frames[-1].name == "turn_ended"
    assert (await user.call("GET", f"/chat/{chat_id}/messages")).status_code == 404


async def test_agents_can_be_chosen(user: User, chat_id: int) -> None:
    frames = read_frames(await user.asked(chat_id, agents=["help-guides"]))
    assert [route["agent"]["name"] for route in frames[1].data["routes"]] == ["help-guides"]
    response = await user.call("POST", "/chat/message", json={"chat_id": chat_id, "message": "x", "agents": ["nobody"]})
    assert response.status_code == 422
    assert list(response.json()["error"]["details"]["fields"]) == ["agents"]
