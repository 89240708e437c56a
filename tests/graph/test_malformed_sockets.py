"""Whatever comes over a WebSocket, the real server says what is wrong with it, and goes on.

ANSWERDESK_MALFORMED says how many connections are made: 400 unless told.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance import INPUTS
from tests.graph.desk import PASSWORD
from tests.graph.malformed_sockets import exchange, malformed, wrong_with
from tests.graph.raw_sockets import opened
from tests.live_server import live_server

pytestmark = pytest.mark.conformance("Malformed WebSocket")

NUMBER = int(os.environ.get("ANSWERDESK_MALFORMED", "400"))
AT_ONCE = 8
REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }"


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with live_server() as url:
        yield url


@pytest.fixture(scope="module")
def token(base: str) -> str:
    person = {"username": "ada", "email": "ada@example.test", "password": PASSWORD}
    request = {"query": REGISTER, "variables": {"input": person}}
    answer = httpx.post(f"{base}/graphql", json=request, trust_env=False).json()
    return str(answer["data"]["register"]["accessToken"])


async def test_nothing_that_is_sent_is_the_servers_fault(
    base: str, token: str, record_property: Callable[[str, object], None]
) -> None:
    """The server's log is looked through for tracebacks when it has stopped."""
    address = urlsplit(base)
    outcomes: Counter[int | None] = Counter()
    record_property(INPUTS, NUMBER)
    numbers = iter(range(NUMBER))

    async def send() -> None:
        for number in numbers:
            case = malformed(number, token)
            outcome = await exchange(str(address.hostname), address.port or 80, case)
            outcomes[outcome.status if outcome.status != 101 else outcome.code] += 1
            wrong = wrong_with(case, outcome)
            assert wrong is None, f"case {number} ({case.kind}): {wrong}\n{case.sent[:2_000]!r}\n{outcome}"

    async with asyncio.TaskGroup() as senders:
        for _ in range(AT_ONCE):
            senders.create_task(send())
    print(sorted(outcomes.items(), key=str))
    each = {None, 400, 1002, 1007, 1009, 4400, 4401, 4403, 4409, 4429}
    assert each <= set(outcomes), outcomes  # each way to refuse was taken

    async with opened(f"{base}/graphql") as socket:
        await socket.init(token=token)
        await socket.subscribe("{ viewer { username } }")
        assert (await socket.hear())["payload"] == {"data": {"viewer": {"username": "ada"}}}
