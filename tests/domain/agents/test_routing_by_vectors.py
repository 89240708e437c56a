"""With embeddings the router knows what is meant in other words, of documents and of example questions."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.agents.assessment import Assessment, Assessor
from domain.agents.calibration import VECTORS, WORDS
from domain.agents.catalog import Agent
from domain.agents.routing import Router
from domain.agents.state import Conversation, Settled
from domain.documents import read_documents
from domain.knowledge import ANYBODY
from providers.embedded_search import EmbeddedSearch
from providers.embeddings import Embedder, installed_embedder
from tests.domain.agents.small_desks import GARDEN, LIBRARY

MONEY = ("why is my account frozen", "how much is left on my credit card", "transfer rent to my landlord")
CLOCK = ("set an alarm for six", "wake me up at seven", "what time is it in Tokyo")


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return installed_embedder() or pytest.skip("the extra `embeddings` is not installed")


class Counting:
    """Counts the texts that the model reads."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self.name = model.name
        self.read: list[str] = []

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        self.read += texts
        return self._model.embed(texts)


@pytest.fixture
def counting(minilm: Embedder) -> Counting:
    return Counting(minilm)


@pytest.fixture
async def search(counting: Counting, tmp_path: Path) -> AsyncIterator[EmbeddedSearch]:
    search = EmbeddedSearch(tmp_path / "index", counting)
    (tmp_path / "index").mkdir()
    yield search
    await search.close()


async def documented(search: EmbeddedSearch, folder: Path) -> list[Agent]:
    agents = []
    for name, about, body in (("garden", "Growing vegetables", GARDEN), ("library", "The town library", LIBRARY)):
        (folder / name).mkdir()
        (folder / name / "page.md").write_text(body, "utf-8")
        agents.append(Agent(name, name.title(), about, folder / name))
        await search.index(name, read_documents(name, folder / name))
    return agents


async def exemplified(search: EmbeddedSearch, folder: Path, *others: Agent) -> list[Agent]:
    agents = [
        Agent("money", "Money", "banking", folder, examples=MONEY),
        Agent("clock", "Clock", "alarms", folder, examples=CLOCK),
        *others,
    ]
    for agent in agents:
        await search.index(agent.name, [])
    return agents


async def assessed(search: EmbeddedSearch, question: str, agents: Sequence[Agent]) -> Assessment:
    (found,) = await Assessor(search).assess(question, question, Conversation(), agents, ANYBODY)
    return found


async def test_documents_are_known_in_other_words(search: EmbeddedSearch, tmp_path: Path) -> None:
    agents = await documented(search, tmp_path)
    words = EmbeddedSearch(tmp_path / "words")
    for agent in agents:
        await words.index(agent.name, read_documents(agent.name, agent.knowledge_base))
    question = "Where may I lend a novel?"
    by_vectors, by_words = await assessed(search, question, agents), await assessed(words, question, agents)
    assert (by_vectors.weighed.calibration, by_words.weighed.calibration) == (VECTORS, WORDS)
    assert by_vectors.best == "library"
    assert by_vectors.shares["library"] > by_words.shares["library"] + 0.1
    assert by_vectors.scope > by_words.scope


async def test_examples_are_known_in_other_words(search: EmbeddedSearch, tmp_path: Path) -> None:
    agents = await exemplified(search, tmp_path)
    for question, name in (
        ("they blocked my bank balance", "money"),
        ("get me out of bed tomorrow morning", "clock"),
    ):
        routing = await Router(search).route(Settled(question), question, Conversation(), agents, ANYBODY)
        assert [route.agent for route in routing.routes] == [name]
    question = "do geese eat grass"
    assert (await assessed(search, question, agents)).scope < 0.5


async def test_who_has_no_examples_is_neither_favoured_nor_disfavoured(search: EmbeddedSearch, tmp_path: Path) -> None:
    agents = await exemplified(search, tmp_path, Agent("other", "Other", "something else", tmp_path))
    found = await assessed(search, "set my alarm for seven", agents)
    assert found.best == "clock"
    assert found.shares["money"] < found.shares["other"] < found.shares["clock"]


async def test_each_text_is_read_once(search: EmbeddedSearch, counting: Counting, tmp_path: Path) -> None:
    agents = await exemplified(search, tmp_path)
    question = "they blocked my bank balance"
    for _ in range(3):
        await assessed(search, question, agents)
    await assessed(search, question, agents[:1])
    assert sorted(counting.read) == sorted([question, *MONEY, *CLOCK])
