"""Whatever is asked for as server-sent events, the real server says what is wrong with it, and goes on.

ANSWERDESK_MALFORMED says how many attempts are made: 400 unless told.
"""

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance import INPUTS
from tests.graph.desk import PASSWORD, global_id
from tests.graph.malformed import WITHIN
from tests.graph.malformed_streams import Caller, Place, malformed_stream
from tests.live_server import live_server

pytestmark = pytest.mark.conformance("Malformed SSE")
NUMBER = int(os.environ.get("ANSWERDESK_MALFORMED", "400"))


@dataclass
class Reader:
    """Reads an open stream for as long as it lasts."""

    connection: socket.socket
    seen: bytes = b""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        while piece := self.connection.recv(65_536):
            with self.changed:
                self.seen = (self.seen + piece)[-100_000:]
                self.changed.notify_all()

    def wait_for(self, text: bytes) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: text in self.seen, WITHIN)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with live_server({"SSE_RESERVATION_SECONDS": "1", "PLAYGROUND": "off"}) as url:
        yield url


def signed_up(http: httpx.Client, name: str) -> str:
    person = {"username": name, "email": f"{name}@example.test", "password": PASSWORD}
    http.post("/api/v1/auth/register", json=person).raise_for_status()
    granted = http.post("/api/v1/auth/token", data={"username": name, "password": PASSWORD}).raise_for_status()
    return str(granted.json()["access_token"])


@pytest.fixture(scope="module")
def place(base: str) -> Place:
    with httpx.Client(base_url=base, trust_env=False, timeout=WITHIN) as http:
        token, other_token = signed_up(http, "ada"), signed_up(http, "eve")
        http.headers["authorization"] = f"Bearer {token}"
        chat = http.post("/api/v1/chat/new-chat").json()["chat_id"]
        body = {"chat_id": chat, "message": "What is the nano pricing plan?", "stream": False}
        turn = http.post("/api/v1/chat/message", json=body).raise_for_status().json()["turn_id"]
        reservation = http.put("/graphql").raise_for_status().text
    return Place(token, other_token, reservation, global_id("Turn", turn), turn, global_id("ChatSession", chat), chat)


@pytest.fixture(scope="module")
def address(base: str) -> tuple[str, int]:
    parts = urlsplit(base)
    return str(parts.hostname), int(parts.port or 80)


@pytest.fixture(scope="module")
def reader(address: tuple[str, int], place: Place) -> Iterator[Reader]:
    """Of the place's stream."""
    with socket.create_connection(address) as connection:
        headers = {"Host": "x", "Accept": "text/event-stream", "Authorization": f"Bearer {place.token}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"GET /graphql?token={place.reservation} HTTP/1.1\r\n{lines}\r\n".encode())
        reader = Reader(connection)
        thread = threading.Thread(target=reader.run, daemon=True)
        thread.start()
        assert reader.wait_for(b":\n\n")
        yield reader
        connection.shutdown(socket.SHUT_RDWR)
        thread.join(WITHIN)


def test_nothing_that_is_sent_is_the_servers_fault(
    base: str,
    address: tuple[str, int],
    place: Place,
    reader: Reader,
    record_property: Callable[[str, object], None],
) -> None:
    """A stream of somebody who does nothing wrong stays open all the time. The server's log is looked through for
    tracebacks when it has stopped."""
    record_property(INPUTS, NUMBER)
    caller = Caller(*address)
    statuses: Counter[int] = Counter()
    for number in range(NUMBER):
        attempt = malformed_stream(number, place)
        came, wrong = caller.make(attempt)
        statuses.update(came)
        assert wrong is None, f"attempt {number} ({attempt.kind}): {wrong}\n{attempt.data()[:2_000]!r}"
    caller.close()
    assert {200, 201, 202, 400, 401, 404, 405, 406, 409, 415, 422} <= set(statuses), statuses
    headers = {"authorization": f"Bearer {place.token}", "x-graphql-event-stream-token": place.reservation}
    body = {"query": "{ viewer { username } }", "extensions": {"operationId": "at last"}}
    assert httpx.post(f"{base}/graphql", json=body, headers=headers, trust_env=False).status_code == 202
    assert reader.wait_for(b"event: complete\ndata: " + json.dumps({"id": "at last"}, separators=(",", ":")).encode())
