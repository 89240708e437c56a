"""What goes wrong with Azure AI Search, behind the real server."""

from collections.abc import Iterator

import pytest

from tests.live_server import live_server
from tests.rest.conftest import User
from tests.rest.event_frames import read_frames
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.faults import FAULTS
from tests.test_cli import answerdesk


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureSearchStandIn]:
    """With the knowledge bases indexed."""
    with AzureSearchStandIn() as server:
        done = answerdesk(tmp_path_factory.mktemp("search"), "ingest", **server.environment())
        assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture(scope="module")
def address(scripted: AzureOpenAIStandIn, search: AzureSearchStandIn) -> Iterator[str]:
    with live_server({**scripted.environment(), **search.environment(), "SEARCH_RETRIES": "0"}) as url:
        yield f"{url}/api/v1"


@pytest.mark.parametrize("fault", ["unauthorised", "missing", "busy", "down", "silent", "reset", "malformed"])
async def test_a_question_that_cannot_be_searched_for_fails_and_no_model_is_asked(
    user: User, chat_id: int, search: AzureSearchStandIn, upstream: AzureOpenAIStandIn, fault: str
) -> None:
    asked = len(upstream.requests)
    search.fault = FAULTS[fault]
    try:
        last = read_frames(await user.asked(chat_id))[-1]
    finally:
        search.fault = None
    assert (last.name, last.data["status"], last.data["message"]["text"]) == ("turn_ended", "FAILED", "")
    error = last.data["error"]
    assert (error["code"], error["retryable"]) == ("SEARCH_UNAVAILABLE", True)
    assert error["retry_after"] == (30 if fault == "busy" else None)
    assert search.key not in str(last.data)
    assert len(upstream.requests) == asked
