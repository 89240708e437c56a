"""Two small knowledge bases of our own in a real index, and the sample ones of the four agents."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.rewriting import Rewriter
from domain.agents.routing import Router
from domain.agents.state import Conversation, Line, Routing, Settled
from domain.documents import read_documents
from domain.knowledge import ANYBODY
from domain.model import Role
from providers.embedded_search import EmbeddedSearch

GARDEN = """# Tomatoes

## Watering tomatoes {#water}

Water tomatoes every second morning, two litres for each plant. In pots they need water daily.

## Pruning tomatoes {#prune}

Cut the side shoots off every week with clean scissors.

## Feeding tomatoes {#feed}

Feed tomatoes with compost tea every 10 days once the first fruit is set.
"""
LIBRARY = """# Library

## Opening hours {#hours}

The library is open from 9:00 to 18:00 on weekdays, and until noon on Saturdays.

## Borrowing {#borrow}

A library card lets you borrow 12 books for 4 weeks. A late book costs $0.20 a day.

## Study rooms {#rooms}

A study room can be booked for 2 hours at the front desk. It seats six people.
"""


@dataclass(frozen=True)
class Desk:
    """A rewriter and a router over some agents, as the workflow uses them."""

    search: EmbeddedSearch
    agents: Sequence[Agent]

    async def rewrite(self, question: str, *before: str) -> str:
        """`before` are earlier questions and answers by turns."""
        return await Rewriter(self.search).rewrite(question, told(*before), self.agents, ANYBODY)

    async def route(self, question: str, *before: str) -> Routing:
        whole = await self.rewrite(question, *before)
        return await Router(self.search).route(Settled(question), whole, told(*before), self.agents, ANYBODY)


def told(*before: str) -> Conversation:
    return Conversation(tuple(Line((Role.USER, Role.ASSISTANT)[i % 2], text) for i, text in enumerate(before)))


@pytest.fixture(scope="session")
def small_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("small")
    agents = []
    for name, about, body in (("garden", "Growing vegetables", GARDEN), ("library", "The town library", LIBRARY)):
        (folder / name).mkdir()
        (folder / name / "page.md").write_text(body, "utf-8")
        agents.append(Agent(name, name.title(), about, folder / name))
    return _indexed(folder / "index", agents)


@pytest.fixture(scope="session")
def sample_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    catalog = AgentCatalog.load(Path(__file__).parents[3] / "agents.toml")
    return _indexed(tmp_path_factory.mktemp("sample"), catalog.all)


def _indexed(folder: Path, agents: Sequence[Agent]) -> Desk:
    async def fill() -> Desk:
        search = EmbeddedSearch(folder)
        for agent in agents:
            await search.index(agent.name, read_documents(agent.name, agent.knowledge_base))
        return Desk(search, agents)

    folder.mkdir(exist_ok=True)
    return asyncio.run(fill())
