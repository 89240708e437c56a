"""A desk with a fallback deployment, behind the real server: who answers is stored, and /readyz says who is left alone."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from providers.fallback import PAUSED
from tests.live_server import live_server
from tests.rest.conftest import ANSWER, User
from tests.rest.event_frames import read_frames, text_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Refuse

DOWN = Refuse(503)
FIRST, OTHER = "Azure OpenAI, deployment gpt-4o", "Azure OpenAI, fallback deployment gpt-4o-north"


@pytest.fixture(scope="module")
def other() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn("gpt-4o-north") as upstream:
        upstream.otherwise = ANSWER
        yield upstream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fallback")


@pytest.fixture(scope="module")
def address(scripted: AzureOpenAIStandIn, other: AzureOpenAIStandIn, folder: Path) -> Iterator[str]:
    settings = {
        "AZURE_OPENAI_FALLBACK_API_KEY": other.key,
        "AZURE_OPENAI_FALLBACK_DEPLOYMENT": other.deployment,
        "AZURE_OPENAI_FALLBACK_ENDPOINT": other.url,
        "MODEL_RETRIES": "0",
        "MODEL_BREAKER_FAILURES": "2",
        "MODEL_BREAKER_SECONDS": "3600",
        "DATA_DIR": str(folder),
    }
    with live_server({**scripted.environment(), **settings}) as url:
        yield f"{url}/api/v1"


def recorded(folder: Path) -> list[tuple[str, int]]:
    """Of each turn that was answered: who wrote it, and how many tokens it has."""
    with sqlite3.connect(f"file:{folder / 'answerdesk.sqlite3'}?mode=ro", uri=True) as database:
        query = "SELECT model, completion_tokens FROM turns WHERE status = 'COMPLETED' ORDER BY id"
        rows = list(database.execute(query))
    database.close()
    return rows


async def model_state(user: User) -> str:
    base = str(user.http.base_url).removesuffix("/api/v1/")
    async with httpx.AsyncClient(trust_env=False) as http:
        ready = await http.get(f"{base}/readyz")
    assert ready.status_code == 200, "chats can be read and a question may be answered by the other"
    return str(ready.json()["model"])


async def test_the_other_answers_and_is_recorded_until_both_are_left_alone(
    user: User, chat_id: int, upstream: AzureOpenAIStandIn, other: AzureOpenAIStandIn, folder: Path
) -> None:
    async def answered() -> str:
        frames = read_frames(await user.asked(chat_id))
        assert frames[-1].name == "turn_completed"
        return text_of(frames)

    before = len(upstream.requests)
    assert await answered() == ANSWER
    assert "paused" not in await model_state(user)
    upstream.fault = DOWN
    assert [await answered() for _ in range(3)] == [ANSWER] * 3
    tokens = len(ANSWER.split())
    assert recorded(folder) == [(FIRST, tokens), *[(OTHER, tokens)] * 3]
    assert len(upstream.requests) - before == 3  # the third failed question in a row did not go there
    assert (await model_state(user)).endswith(f"(paused after failures: {FIRST})")
    other.fault = DOWN
    failed = [read_frames(await user.asked(chat_id))[-1].data["error"] for _ in range(3)]
    assert [error["code"] for error in failed] == ["MODEL_UNAVAILABLE"] * 3
    assert (failed[-1]["message"], failed[-1]["retryable"]) == (PAUSED, True)
    assert (len(upstream.requests) - before, len(other.requests)) == (3, 5)
