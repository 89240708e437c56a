"""A search that fails ends the turn, unless the agent that is asked answers without: then the answer says so."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel

from domain.agents.answering import without_search
from domain.agents.catalog import AgentCatalog, CatalogError
from domain.agents.state import Draft
from domain.agents.workflow import build_workflow
from domain.errors import SearchUnavailable
from domain.knowledge import Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.ports import Retriever
from providers.extractive import ExtractiveChatModel
from providers.model_errors import model_error
from providers.openai import close_model, openai_model
from settings import Settings
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Said, Written
from tests.domain.agents.turns import asking
from tests.standins.azure_openai import AzureOpenAIStandIn

GROWING = "Which vegetables are worth growing?"
ANSWER = "Those that you like to eat."


class Failing(Retriever):
    """A search engine that fails for some agents."""

    def __init__(self, search: Retriever, *agents: str) -> None:
        self._search = search
        self._agents = agents

    @property
    def name(self) -> str:
        return "failing"

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        raise SearchUnavailable

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        if agent in self._agents:
            raise SearchUnavailable
        return await self._search.search(agent, question, limit, reader)

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> TermStatistics | None:
        return None

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        raise SearchUnavailable

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        return None

    async def check(self) -> None:
        raise SearchUnavailable


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        server.otherwise = ANSWER
        yield server


@pytest.fixture
async def model(upstream: AzureOpenAIStandIn) -> AsyncIterator[BaseChatModel]:
    made = openai_model(Settings(_env_file=None, openai_model="m", openai_base_url=f"{upstream.url}/v1"))
    yield made
    await close_model(made)


def turn(
    desk: Desk,
    model: BaseChatModel,
    asked: str,
    written: Written,
    *,
    fails: Sequence[str] = ("garden", "library"),
    allowed: Sequence[str] = ("garden",),
    chosen: Sequence[str] = (),
    before: Sequence[str] = (),
) -> Awaitable[Draft]:
    agents = tuple(replace(agent, answers_without_search=agent.name in allowed) for agent in desk.agents)
    catalog = AgentCatalog(agents)
    search = Failing(desk.search, *fails)
    workflow = build_workflow(Said(*before), search, catalog, model, "m", model_error)
    return workflow(asking(asked, catalog.all, written, chosen))


def preface(desk: Desk, name: str) -> str:
    return without_search([agent for agent in desk.agents if agent.name == name])


async def test_an_agent_that_may_answers_without_sources_and_says_so(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    written = Written()
    draft = await turn(small_desk, model, GROWING, written)
    assert draft.text == written.text == preface(small_desk, "garden") + ANSWER
    assert draft.sources == ()
    [route] = written.routes
    assert route.agent == "garden"
    assert "cannot be searched" in route.reason
    rules, *_, question = upstream.requests[-1].body["messages"]
    assert "cannot be searched" in rules["content"]
    assert question["content"] == f"Question: {GROWING}"


async def test_a_follow_up_is_asked_as_it_was_written(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    before = ("How often should I water tomatoes?", "Every second morning. [1]")
    follow_up = "And what about growing other vegetables?"
    draft = await turn(small_desk, model, follow_up, Written(), before=before)
    assert draft.text.endswith(ANSWER)
    assert upstream.requests[-1].body["messages"][-1]["content"] == f"Question: {follow_up}"


@pytest.mark.parametrize(
    ("asked", "allowed", "chosen"),
    [
        (GROWING, (), ()),
        (GROWING, ("library",), ()),
        (GROWING, ("library",), ("garden",)),
        ("Does it rain in Lima?", ("garden",), ()),
    ],
    ids=["nobody may", "another may", "another was chosen", "nobody knows whose question it is"],
)
async def test_without_leave_the_turn_fails(
    small_desk: Desk,
    model: BaseChatModel,
    upstream: AzureOpenAIStandIn,
    asked: str,
    allowed: Sequence[str],
    chosen: Sequence[str],
) -> None:
    written = Written()
    with pytest.raises(SearchUnavailable):
        await turn(small_desk, model, asked, written, allowed=allowed, chosen=chosen)
    assert written.text == ""
    assert upstream.requests == []


async def test_what_was_found_elsewhere_is_cited_all_the_same(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.otherwise = "On weekdays from 9:00 [1]."
    written = Written()
    asked = "When is the library open?"
    draft = await turn(small_desk, model, asked, written, fails=["garden"], chosen=("garden", "library"))
    assert draft.text == written.text == preface(small_desk, "garden") + "On weekdays from 9:00 [1]."
    assert [source.title for source in draft.sources] == [source.title for source in written.sources] != []


async def test_the_embedded_model_says_that_it_has_nothing_to_quote(small_desk: Desk) -> None:
    draft = await turn(small_desk, ExtractiveChatModel(), GROWING, Written())
    assert draft.text.startswith(preface(small_desk, "garden"))
    assert draft.sources == ()


def test_leave_is_true_or_false_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    file = tmp_path / "agents.toml"
    entry = '[[agent]]\nname = "a"\ntitle = "A"\ndescription = "d"\nknowledge_base = "base"\nanswers_without_search = '
    file.write_text(f"{entry}true\n", "utf-8")
    assert AgentCatalog.load(file).get("a").answers_without_search
    file.write_text(f'{entry}"yes"\n', "utf-8")
    with pytest.raises(CatalogError, match="answers_without_search"):
        AgentCatalog.load(file)
