"""The product with a scripted model upstream, an account and a chat on it for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.live_server import live_server
from tests.standins.azure_openai import AzureOpenAIStandIn

QUESTION = "What is the nano pricing plan?"
ANSWER = "The Nano plan costs $9 a month [1]. Some keep $7 a month [2]. Größe: 3 returns a year are included."
"""The passages that are found first for the question say so."""
PASSWORD = "a_strong_password"
_numbers = itertools.count(1)


@dataclass
class User:
    """A signed-in client of /api/v1."""

    http: httpx.AsyncClient
    name: str
    grant: dict[str, Any] = field(default_factory=dict)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.grant['access_token']}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def ok(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        response = await self.call(method, path, **options)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def stream(self, method: str, path: str, **options: Any) -> Any:
        """A response as it comes; to be entered."""
        headers = {"Authorization": f"Bearer {self.grant['access_token']}", **options.pop("headers", {})}
        return self.http.stream(method, path, headers=headers, **options)

    def ask(self, chat_id: int, message: str = QUESTION, **fields: Any) -> Any:
        return self.stream("POST", "/chat/message", json={"chat_id": chat_id, "message": message, **fields})

    async def asked(self, chat_id: int, message: str = QUESTION, **fields: Any) -> bytes:
        """The whole stream."""
        async with self.ask(chat_id, message, **fields) as response:
            assert response.status_code == 200, await response.aread()
            return bytes(await response.aread())

    async def new_chat(self) -> int:
        chat = await self.ok("POST", "/chat/new-chat", 201)
        return int(chat["chat_id"])

    async def sign_in(self) -> None:
        response = await self.http.post("/auth/token", data={"username": self.name, "password": PASSWORD})
        assert response.status_code == 200, response.text
        self.grant = response.json()


@pytest.fixture(scope="session")
def scripted() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture(scope="session")
def address(scripted: AzureOpenAIStandIn) -> Iterator[str]:
    """Where the face is. Ended turns leave the log at once, so that replays come from the store. All that streams
    makes do with one database connection."""
    settings = {"SSE_HEARTBEAT_SECONDS": "0.2", "TURN_LOG_LINGER_SECONDS": "0", "MAX_REQUEST_BYTES": "65536"}
    with live_server({**scripted.environment(), **settings, "DATABASE_POOL_SIZE": "1"}) as url:
        yield f"{url}/api/v1"


@pytest.fixture
def upstream(scripted: AzureOpenAIStandIn) -> Iterator[AzureOpenAIStandIn]:
    """All modules have one; what a test made of it does not last."""
    said = scripted.otherwise
    yield scripted
    scripted.otherwise, scripted.fault, scripted.window = said, None, None


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=30, trust_env=False) as client:
        yield client


async def signed_up(http: httpx.AsyncClient, name: str | None = None) -> User:
    """Somebody new, or whoever has the name already."""
    user = User(http, name or f"user{next(_numbers)}")
    body = {"username": user.name, "email": f"{user.name}@example.com", "password": PASSWORD}
    response = await http.post("/auth/register", json=body)
    assert response.status_code in ((201, 409) if name else (201,)), response.text
    await user.sign_in()
    return user


@pytest.fixture
async def user(http: httpx.AsyncClient) -> User:
    return await signed_up(http)


@pytest.fixture
async def stranger(http: httpx.AsyncClient) -> User:
    return await signed_up(http)


@pytest.fixture
async def chat_id(user: User) -> int:
    return await user.new_chat()
