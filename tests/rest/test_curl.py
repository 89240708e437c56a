"""The acceptance test: the five curl calls that clients of the first version make, on a server with no settings."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.live_server import live_server
from tests.rest.event_frames import read_frames, text_of

REGISTER = """curl -X POST http://127.0.0.1:8001/api/v1/auth/register -H "Content-Type: application/json" \
  -d '{"username": "testuser", "email": "test@example.com", "password": "a_strong_password"}'"""
TOKEN = """curl -X POST http://127.0.0.1:8001/api/v1/auth/token -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=testuser&password=a_strong_password" """
NEW_CHAT = """curl -X POST http://127.0.0.1:8001/api/v1/chat/new-chat -H "Authorization: Bearer <TOKEN>" """
MESSAGE = """curl -N -X POST http://127.0.0.1:8001/api/v1/chat/message -H "Content-Type: application/json" \
  -H "Authorization: Bearer <TOKEN>" -d '{"chat_id": 1, "message": "What is the nano pricing plan?", "stream": true}'"""
LOGOUT = """curl -X POST http://127.0.0.1:8001/api/v1/auth/logout -H "Authorization: Bearer <TOKEN>" """
MESSAGES = """curl http://127.0.0.1:8001/api/v1/chat/1/messages -H "Authorization: Bearer <TOKEN>" """


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Shell:
    """Runs the calls as they stand, but for the server's address and the token."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.token = ""

    def __call__(self, call: str) -> Answer:
        words = shlex.split(call.replace("http://127.0.0.1:8001", self._url).replace("<TOKEN>", self.token))
        done = subprocess.run([*words, "-s", "-S", "-i", "--max-time", "60"], capture_output=True, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Answer(int(status.split()[1]), headers, body)


@pytest.fixture
def curl() -> Iterator[Shell]:
    with live_server() as url:
        yield Shell(url)


@pytest.mark.parametrize("route", ["chat/message", "chat/chat-lg"])
def test_the_five_calls(curl: Shell, route: str) -> None:
    registered = curl(REGISTER)
    assert registered.status == 201
    assert registered.json().items() >= {"id": 1, "username": "testuser", "email": "test@example.com"}.items()

    token = curl(TOKEN)
    assert token.status == 200
    assert token.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert token.json()["token_type"] == "bearer"
    curl.token = token.json()["access_token"]

    new_chat = curl(NEW_CHAT)
    assert new_chat.status == 201
    assert new_chat.json().keys() == {"chat_id", "title", "created_at"}
    assert new_chat.json()["chat_id"] == 1

    answer = curl(MESSAGE.replace("chat/message", route))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    _check_stream(answer.body, curl(MESSAGES).json()["items"][-1])

    assert curl(LOGOUT).status == 204
    after = curl(NEW_CHAT)
    assert after.status == 401
    assert after.headers["www-authenticate"] == "Bearer"


def _check_stream(stream: bytes, stored: dict[str, Any]) -> None:
    frames = read_frames(stream)
    names = [frame.name for frame in frames]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert names[:2] == ["turn_started", "route_chosen"]
    assert set(names[2:-1]) == {"sources_found", "answer_delta"}
    assert names[-1] == "turn_completed"
    assert "$9" in text_of(frames)
    assert text_of(frames) == frames[-1].data["message"]["text"] == stored["text"]
    assert frames[-1].data["message"] == stored
    assert [route["agent"]["name"] for route in frames[1].data["routes"]] == ["pricing"]
    cited = [source for source in stored["sources"] if source["spans"]]
    assert cited
    for source in cited:
        for span in source["spans"]:
            assert stored["text"][span["start"] : span["end"]].strip()
