"""What goes wrong with the model or with search, behind the real server: each turn ends with its code, and keeps its text."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.agents.patience import LATE, SILENT
from rest.errors import RETRY_AFTER
from tests.graph.desk import global_id
from tests.live_server import live_server
from tests.rest.conftest import ANSWER, QUESTION, User
from tests.rest.event_frames import Frame, read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn, Fault
from tests.standins.faults import (
    CutShort,
    ErrorInStream,
    FilterAnswer,
    FilterPrompt,
    Hang,
    Malformed,
    Refuse,
    Reset,
)

BEGUN = "The Nano plan "
"""Three pieces of the answer."""
UNAVAILABLE, FILTERED = "MODEL_UNAVAILABLE", "CONTENT_FILTERED"
DEADLINES = {"TURN_FIRST_TOKEN_SECONDS": "2", "TURN_SILENCE_SECONDS": "1"}
MODEL_FAULTS: dict[str, tuple[Fault, str, str, bool, str]] = {
    "hangs before the head": (Hang(), UNAVAILABLE, LATE, True, ""),
    "hangs before the first token": (Hang(0), UNAVAILABLE, LATE, True, ""),
    "falls silent": (Hang(3), UNAVAILABLE, SILENT, True, BEGUN),
    "resets before the head": (Reset(), UNAVAILABLE, "cannot be reached", True, ""),
    "resets": (Reset(3), UNAVAILABLE, "", True, BEGUN),
    "ends too early": (CutShort(3), UNAVAILABLE, "broke off", True, BEGUN),
    "malformed chunk": (Malformed(3), UNAVAILABLE, "broke off", True, BEGUN),
    "error among the chunks": (ErrorInStream(3), UNAVAILABLE, "broke off", True, BEGUN),
    "filters the question": (FilterPrompt(), FILTERED, "refused", False, ""),
    "filters the answer": (FilterAnswer(3), FILTERED, "stopped this answer", False, BEGUN),
    "unauthorised": (Refuse(401), UNAVAILABLE, "credentials", True, ""),
    "missing": (Refuse(404), UNAVAILABLE, "does not exist", True, ""),
    "busy for long": (Refuse(429, headers={"retry-after": "90"}), UNAVAILABLE, "is busy", True, ""),
    "failing": (Refuse(500), UNAVAILABLE, "cannot be reached", True, ""),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server logs, as JSON."""
    return tmp_path_factory.mktemp("faults") / "server.log"


@pytest.fixture(scope="module", params=["2024-10-21", "v1"])
def address(request: pytest.FixtureRequest, scripted: AzureOpenAIStandIn, log: Path) -> Iterator[str]:
    settings = {**DEADLINES, "MODEL_RETRIES": "0", "MODEL_BREAKER_FAILURES": "1000", "LOG_FORMAT": "json"}
    with live_server({**scripted.environment(request.param), **settings}, log=log) as url:
        yield f"{url}/api/v1"


async def ended(user: User, chat_id: int) -> tuple[Frame, str]:
    """The last event and the text before it; what is stored is the same."""
    frames = read_frames(await user.asked(chat_id))
    stored = (await user.ok("GET", f"/chat/{chat_id}/messages"))["items"][-1]
    assert text_of(frames) == frames[-1].data["message"]["text"] == stored["text"]
    return frames[-1], text_of(frames)


def text_in(log: Path) -> str:
    return log.read_text("utf-8")


@pytest.mark.parametrize("fault", MODEL_FAULTS)
async def test_each_fault_of_the_model_ends_the_turn_with_its_code(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, fault: str
) -> None:
    step, code, message, retryable, kept = MODEL_FAULTS[fault]
    upstream.script(step)
    last, text = await ended(user, chat_id)
    assert (last.name, last.data["status"], text) == ("turn_ended", "FAILED", kept)
    error = last.data["error"]
    assert (error["code"], error["retryable"]) == (code, retryable)
    assert message in error["message"]
    again, text = await ended(user, chat_id)
    assert (again.name, text) == ("turn_completed", ANSWER)


async def test_a_conversation_that_grew_too_long_is_answered_with_less_of_it(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script("Light and warmth. " * 900)
    await ended(user, chat_id)
    upstream.window = 1_500
    last, text = await ended(user, chat_id)
    assert (last.name, text) == ("turn_completed", ANSWER)
    upstream.window = 10
    last, text = await ended(user, chat_id)
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    whole = await user.call("POST", "/chat/message", json=body)
    error = last.data["error"]
    assert (error["code"], error["retryable"], text) == (UNAVAILABLE, False, "")
    assert (whole.status_code, "retry-after" in whole.headers) == (503, False)


@pytest.mark.parametrize("headers", [{"retry-after": "90"}, {"retry-after-ms": "89500"}], ids=["s", "ms"])
async def test_how_long_to_wait_is_told_in_every_form_and_kept(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, headers: dict[str, str]
) -> None:
    upstream.script(Refuse(429, headers=headers), Refuse(429, headers=headers), Refuse(500))
    last, _ = await ended(user, chat_id)
    assert last.data["error"]["retry_after"] == 90
    kept = await user.ok("POST", f"/chat/turns/{last.data['turn_id']}/stop")  # an ended turn stays as it is
    assert kept["error"] == last.data["error"]
    query = """query($id: ID!) { node(id: $id) { ... on Message { turn { error { code retryAfter } } } } }"""
    asked = {"query": query, "variables": {"id": global_id("Message", last.data["message"]["id"])}}
    told = await user.ok("POST", str(user.http.base_url).replace("/api/v1/", "/graphql"), json=asked)
    assert told["data"]["node"]["turn"]["error"] == {"code": UNAVAILABLE, "retryAfter": 90}
    body = {"chat_id": chat_id, "message": QUESTION, "stream": False}
    whole = await user.call("POST", "/chat/message", json=body)
    assert (whole.status_code, whole.headers["retry-after"]) == (503, "90")
    assert whole.json()["error"]["details"]["retry_after"] == 90
    silent = await user.call("POST", "/chat/message", json=body)
    assert (silent.headers["retry-after"], "retry_after" in silent.json()["error"]["details"]) == (
        str(RETRY_AFTER),
        False,
    )


@pytest.mark.parametrize(("status", "variable"), [(401, "AZURE_OPENAI_API_KEY"), (404, "AZURE_OPENAI_DEPLOYMENT")])
async def test_whoever_runs_the_desk_is_told_where_to_look(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, log: Path, status: int, variable: str
) -> None:
    before = text_in(log)
    upstream.script(Refuse(status))
    last, _ = await ended(user, chat_id)
    lines = text_in(log).removeprefix(before)
    [told] = [line for line in map(json.loads, lines.splitlines()) if line["event"] == "model_failed"]
    assert told["level"] == "error"
    assert variable in told["remedy"]
    assert upstream.key not in lines
    assert variable not in last.data["error"]["message"]
