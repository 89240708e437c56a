"""What is searched for in a turn: each text once in each knowledge base that must tell, and never what is known."""

from pathlib import Path

import pytest

from domain.agents.catalog import AgentCatalog
from domain.agents.state import Draft
from domain.agents.workflow import build_workflow
from domain.documents import read_documents
from domain.knowledge import Passage, Reader
from providers.embedded_search import EmbeddedSearch
from providers.extractive import ExtractiveChatModel
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Said, Written
from tests.domain.agents.turns import asking

WATER = "How often should I water tomatoes?"
HOURS = "When is the library open?"


class Counted(EmbeddedSearch):
    """Remembers what was searched for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.searched: list[tuple[str, str]] = []

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        self.searched.append((agent, question))
        return await super().search(agent, question, limit, reader)


@pytest.fixture
async def search(small_desk: Desk, tmp_path: Path) -> Counted:
    counted = Counted(tmp_path)
    for agent in small_desk.agents:
        await counted.index(agent.name, read_documents(agent.name, agent.knowledge_base))
    return counted


async def answered(desk: Desk, search: Counted, text: str, *chosen: str) -> Draft:
    catalog = AgentCatalog(tuple(desk.agents))
    run = build_workflow(Said(), search, catalog, ExtractiveChatModel(), "embedded", lambda failure: None)
    return await run(asking(text, catalog.all, Written(), chosen))


async def test_what_the_router_found_is_answered_from(small_desk: Desk, search: Counted) -> None:
    draft = await answered(small_desk, search, WATER)
    assert "second morning" in draft.text
    assert sorted(search.searched) == [("garden", WATER), ("library", WATER)]


async def test_each_need_is_answered_from_what_the_router_found_for_it(small_desk: Desk, search: Counted) -> None:
    draft = await answered(small_desk, search, f"{WATER} {HOURS}")
    assert "second morning" in draft.text
    assert "9:00" in draft.text
    texts = (f"{WATER} {HOURS}", WATER, HOURS)
    assert sorted(search.searched) == sorted((agent, text) for text in texts for agent in ("garden", "library"))


async def test_an_agent_that_was_chosen_is_searched_alone(small_desk: Desk, search: Counted) -> None:
    draft = await answered(small_desk, search, WATER, "garden")
    assert "second morning" in draft.text
    assert search.searched == [("garden", WATER)]
