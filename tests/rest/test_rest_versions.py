"""Asking while the chat is busy, and answers written anew, over REST."""

import asyncio

from tests.rest.conftest import ANSWER, QUESTION, User
from tests.rest.event_frames import Frame, arriving, read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang


async def begun(user: User, chat_id: int) -> tuple[asyncio.Task[list[Frame]], int]:
    """A turn whose answer has begun and does not end, followed to its end."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def follow() -> list[Frame]:
        frames = []
        async with user.ask(chat_id) as response:
            async for frame in arriving(response):
                frames.append(frame)
                if frame.name == "answer_delta" and not started.done():
                    started.set_result(frame.data["turn_id"])
        return frames

    following = asyncio.create_task(follow())
    return following, await started


async def test_an_answer_is_written_anew_and_the_old_one_stays(user: User, stranger: User, chat_id: int) -> None:
    await user.asked(chat_id)
    question, old = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"]
    turn = await user.ok("POST", f"/chat/messages/{old['id']}/regenerate", json={"client_message_id": "k"})
    assert (turn["status"], turn["id"]) == ("RUNNING", turn["id"])
    assert turn["id"] != old["turn_id"]
    frames = read_frames((await user.call("GET", f"/chat/turns/{turn['id']}/events")).content)
    assert frames[0].data["user_message"] == question
    new = frames[-1].data["message"]
    assert text_of(frames) == new["text"]
    again = await user.ok("POST", f"/chat/messages/{old['id']}/regenerate", json={"client_message_id": "k"})
    assert (again["id"], again["status"]) == (turn["id"], "COMPLETED")

    assert (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"] == [question, new]
    for message in (old, new):
        assert await user.ok("GET", f"/chat/messages/{message['id']}/versions") == [old, new]
        assert await user.ok("GET", f"/chat/messages/{message['id']}/sources") == message["sources"] != []
        for path in ("versions", "regenerate"):
            method = "GET" if path == "versions" else "POST"
            assert (await stranger.call(method, f"/chat/messages/{message['id']}/{path}")).status_code == 404
    assert await user.ok("GET", f"/chat/messages/{question['id']}/versions") == [question]
    unfit = await user.call("POST", f"/chat/messages/{old['id']}/regenerate", json={"on_busy": "maybe"})
    assert (unfit.status_code, list(unfit.json()["error"]["details"]["fields"])) == (422, ["on_busy"])


async def test_a_stopped_answer_is_written_anew(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=3))
    following, turn_id = await begun(user, chat_id)
    await user.ok("POST", f"/chat/turns/{turn_id}/stop")
    stopped = (await following)[-1].data["message"]
    turn = await user.ok("POST", f"/chat/messages/{stopped['id']}/regenerate")
    frames = read_frames((await user.call("GET", f"/chat/turns/{turn['id']}/events")).content)
    assert frames[-1].name == "turn_completed"
    versions = await user.ok("GET", f"/chat/messages/{stopped['id']}/versions")
    assert [version["text"] for version in versions] == [stopped["text"], frames[-1].data["message"]["text"]]


async def test_a_message_waits_its_turn(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=3))
    following, turn_id = await begun(user, chat_id)
    refused = await user.call("POST", "/chat/message", json={"chat_id": chat_id, "message": QUESTION})
    assert (refused.status_code, refused.json()["error"]["details"]["turn_id"]) == (409, turn_id)
    waiting = asyncio.create_task(user.asked(chat_id, on_busy="ENQUEUE"))
    while len((await user.ok("GET", f"/chat/{chat_id}/messages"))["items"]) < 4:
        await asyncio.sleep(0.02)
    await user.ok("POST", f"/chat/turns/{turn_id}/stop")
    assert (await following)[-1].data["status"] == "STOPPED"
    frames = read_frames(await waiting)
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1].name == "turn_completed"
    assert text_of(frames) == frames[-1].data["message"]["text"]


async def test_a_message_takes_over(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    upstream.script(Hang(after=3))
    following, _ = await begun(user, chat_id)
    answer = await user.ok(
        "POST",
        "/chat/message",
        json={"chat_id": chat_id, "message": QUESTION, "stream": False, "on_busy": "INTERRUPT"},
    )
    assert answer["answer"].startswith(ANSWER[:20])
    ended = (await following)[-1]
    assert (ended.name, ended.data["status"]) == ("turn_ended", "STOPPED")
