"""An agent that answers without a search, behind the real server, while Azure AI Search is down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import HOUSE
from tests.live_server import live_server
from tests.rest.conftest import User
from tests.rest.event_frames import read_frames
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.faults import FAULTS
from tests.test_cli import answerdesk


@pytest.fixture(scope="module")
def agents_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample agents, with that leave for Pricing alone."""
    file = tmp_path_factory.mktemp("agents") / "agents.toml"
    text = (HOUSE / "agents.toml").read_text("utf-8").replace('knowledge_base = "', f'knowledge_base = "{HOUSE}/')
    file.write_text(text.replace('name = "pricing"', 'name = "pricing"\nanswers_without_search = true'), "utf-8")
    return file


@pytest.fixture(scope="module")
def search(agents_file: Path) -> Iterator[AzureSearchStandIn]:
    """With the knowledge bases indexed."""
    with AzureSearchStandIn() as server:
        done = answerdesk(agents_file.parent, "ingest", AGENTS_FILE=str(agents_file), **server.environment())
        assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture(scope="module")
def address(scripted: AzureOpenAIStandIn, search: AzureSearchStandIn, agents_file: Path) -> Iterator[str]:
    variables = {**scripted.environment(), **search.environment(), "AGENTS_FILE": str(agents_file)}
    with live_server(variables | {"SEARCH_RETRIES": "0"}) as url:
        yield f"{url}/api/v1"


async def test_the_answer_has_no_sources_and_says_so_and_others_fail(
    user: User, chat_id: int, search: AzureSearchStandIn
) -> None:
    assert (
        read_frames(await user.asked(chat_id, "How much does the Nano plan cost a month?"))[-1].data["message"][
            "sources"
        ]
        != []
    )
    search.fault = FAULTS["down"]
    try:
        ended = read_frames(await user.asked(await user.new_chat(), "Which plans and prices are there?"))[-1]
        other = read_frames(await user.asked(await user.new_chat(), "How do I reset a password?"))[-1]
    finally:
        search.fault = None
    assert (ended.name, ended.data["message"]["sources"]) == ("turn_completed", [])
    preface, said = ended.data["message"]["text"].split("\n\n")
    assert preface == "The documents of Pricing cannot be searched just now, so nothing in this answer comes from them."
    assert said.startswith("The Nano plan costs $9 a month")
    assert "[" not in said
    assert (other.name, other.data["error"]["code"]) == ("turn_ended", "SEARCH_UNAVAILABLE")
