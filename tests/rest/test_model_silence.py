"""A model that does not begin, falls silent or is stopped, behind the real server."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from domain.agents.patience import LATE, SILENT
from settings import Settings
from tests.live_server import live_server
from tests.rest.conftest import QUESTION, User
from tests.rest.event_frames import Frame, arriving, read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang
from tests.standins.loopback import Exchange

FIRST_TOKEN, SILENCE = 1.0, 0.5
SOON = 1.0
"""Seconds in which a stopped turn must have closed its model call, on a busy machine: 0.1 otherwise."""


@pytest.fixture(scope="module", params=["2024-10-21", "v1", "openai"])
def address(request: pytest.FixtureRequest, scripted: AzureOpenAIStandIn) -> Iterator[str]:
    """Where the face is, with little patience."""
    plain = {"OPENAI_BASE_URL": f"{scripted.url}/v1", "OPENAI_MODEL": "m", "OPENAI_API_KEY": "k"}
    service = plain if request.param == "openai" else scripted.environment(request.param)
    deadlines = {"TURN_FIRST_TOKEN_SECONDS": str(FIRST_TOKEN), "TURN_SILENCE_SECONDS": str(SILENCE)}
    with live_server({**service, **deadlines}) as url:
        yield f"{url}/api/v1"


async def left(exchange: Exchange) -> None:
    """Returns when the server has closed the connection of this model call."""
    assert await asyncio.to_thread(exchange.ended.wait, 5)
    assert exchange.aborted


def failed(last: Frame, message: str) -> None:
    assert (last.name, last.data["status"]) == ("turn_ended", "FAILED")
    error = last.data["error"]
    assert (error["code"], error["message"], error["retryable"]) == ("MODEL_UNAVAILABLE", message, True)


async def test_a_model_that_does_not_begin_fails_the_turn(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    number = len(upstream.requests)
    upstream.script(Hang())
    frames = read_frames(await user.asked(chat_id))
    failed(frames[-1], LATE)
    assert text_of(frames) == ""
    assert len(upstream.requests) == number + 1, "it is not asked again"
    await left(upstream.requests[number])


async def test_a_model_that_falls_silent_fails_the_turn_and_its_text_is_kept(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    number = len(upstream.requests)
    upstream.script(Hang(after=3))
    frames = read_frames(await user.asked(chat_id))
    failed(frames[-1], SILENT)
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][1]
    assert text_of(frames) == frames[-1].data["message"]["text"] == stored["text"] == "The Nano plan "
    await left(upstream.requests[number])
    upstream.script(Hang(after=3))
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    answered = await user.call("POST", "/chat/message", json=body)
    assert (answered.status_code, answered.json()["error"]["message"]) == (503, SILENT)


async def test_stopping_closes_the_model_call(user: User, chat_id: int, upstream: AzureOpenAIStandIn) -> None:
    number = len(upstream.requests)
    upstream.script(Hang())
    async with user.ask(chat_id) as response:
        frames = arriving(response)
        turn_id = (await anext(frames)).data["turn_id"]
        await asyncio.to_thread(upstream.wait_for_requests, number + 1)
        began = time.monotonic()
        await user.ok("POST", f"/chat/turns/{turn_id}/stop")
        await left(upstream.requests[number])
        assert time.monotonic() - began < SOON
        last = [frame async for frame in frames][-1]
    assert (last.data["status"], last.data["error"]) == ("STOPPED", None)


@pytest.mark.parametrize("name", ["turn_first_token_seconds", "turn_silence_seconds"])
@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_is_longer_than_nothing(name: str, seconds: float) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(_env_file=None, **{name: seconds})  # type: ignore[arg-type]
