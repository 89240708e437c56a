"""The router asks who holds the answer: one agent, several for several needs, or nobody."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.agents.catalog import Agent
from domain.agents.needs import parts
from domain.agents.routing import Router
from domain.agents.state import Conversation, Routing, Settled
from domain.knowledge import ANYBODY, Chunk, Passage, Reader


def asked(routing: Routing) -> list[str]:
    return [route.agent for route in routing.routes]


@pytest.mark.parametrize(
    ("question", "agent"),
    [
        ("How often should I water tomatoes?", "garden"),
        ("How many books can I borrow with a library card?", "library"),
        ("When is the library open on Saturdays?", "library"),
    ],
)
async def test_one_agent_is_asked(small_desk: Any, question: str, agent: str) -> None:
    routing = await small_desk.route(question)
    assert asked(routing) == [agent]
    assert [(need.text, need.agent) for need in routing.needs] == [(question, agent)]
    assert 0.5 < routing.routes[0].confidence <= 1


async def test_the_reason_names_the_words_and_the_runner_up(small_desk: Any) -> None:
    (route,) = (await small_desk.route("How often should I water tomatoes?")).routes
    assert "“tomatoes”" in route.reason
    assert "runner-up Library 0.0" in route.reason
    assert route.runner_up is not None
    assert route.runner_up.agent == "library"
    assert 0 <= route.runner_up.confidence < route.confidence


async def test_of_one_agent_there_is_no_runner_up(small_desk: Any) -> None:
    question, agents = "How often should I water tomatoes?", small_desk.agents[:1]
    (route,) = (
        await Router(small_desk.search).route(Settled(question), question, Conversation(), agents, ANYBODY)
    ).routes
    assert route.runner_up is None
    assert "runner-up" not in route.reason


async def test_two_needs_go_to_two_agents(small_desk: Any) -> None:
    routing = await small_desk.route("How often should I water tomatoes, and what does a late library book cost?")
    assert [(need.text, need.agent) for need in routing.needs] == [
        ("How often should I water tomatoes", "garden"),
        ("what does a late library book cost?", "library"),
    ]
    assert set(asked(routing)) == {"garden", "library"}


async def test_two_needs_of_one_agent_are_two_needs(small_desk: Any) -> None:
    routing = await small_desk.route("How many books can I borrow? When is the library open?")
    assert asked(routing) == ["library"]
    assert len(routing.needs) == 2


@pytest.mark.parametrize("question", ["What is the capital of Peru?", "Who painted the Mona Lisa?", "Thank you!", "?"])
async def test_nobody_is_asked_for_what_nobody_holds(small_desk: Any, question: str) -> None:
    before = ("How often should I water tomatoes?", "Every second morning. [1]")
    assert await small_desk.route(question) == Routing((), ())
    assert await small_desk.route(question, *before) == Routing((), ())


async def test_nobody_is_asked_when_there_is_nobody(small_desk: Any) -> None:
    router = Router(small_desk.search)
    assert await router.route(Settled("Anything?"), "Anything?", Conversation(), (), ANYBODY) == Routing((), ())


async def test_a_follow_up_stays_and_a_new_topic_leaves(small_desk: Any) -> None:
    before = ("Can I book a study room?", "A study room can be booked for 2 hours. [1]")
    assert asked(await small_desk.route("How many people does it seat?", *before)) == ["library"]
    assert asked(await small_desk.route("How often should I feed tomatoes?", *before)) == ["garden"]


async def test_agents_without_documents_are_known_by_their_examples(small_desk: Any, tmp_path: Path) -> None:
    search = small_desk.search
    agents = [
        Agent("banking", "Banking", "money", tmp_path, examples=("why is my account frozen", "is my account blocked")),
        Agent("alarms", "Alarms", "clock", tmp_path, examples=("set an alarm for six", "wake me up at seven")),
    ]
    for agent in agents:
        await search.index(agent.name, [])
    router = Router(search)
    for question, name in (("my account is frozen", "banking"), ("please set an alarm for seven", "alarms")):
        assert asked(await router.route(Settled(question), question, Conversation(), agents, ANYBODY)) == [name]
    nobody = await router.route(Settled("do geese sleep"), "do geese sleep", Conversation(), agents, ANYBODY)
    assert nobody == Routing((), ())


class WithoutStatistics:
    """A search engine that cannot say how rare a term is, over one that can."""

    name = "without statistics"

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def index(self, agent: str, documents: Any, progress: Any = None) -> Any:
        return await self._inner.index(agent, documents, progress)

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        found: list[Passage] = await self._inner.search(agent, question, limit, reader)
        return [Passage(passage.chunk, 40 * passage.score) for passage in found]

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> None:
        return None

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        found: list[Chunk] = await self._inner.chunks(agent, document_id, reader)
        return found

    async def likeness(self, question: str, texts: Sequence[str]) -> None:
        return None

    async def check(self) -> None:
        await self._inner.check()


async def test_neither_statistics_nor_the_scale_of_scores_is_needed(small_desk: Any) -> None:
    router = Router(WithoutStatistics(small_desk.search))
    question = "How many books can I borrow with a library card?"
    assert asked(await router.route(Settled(question), question, Conversation(), small_desk.agents, ANYBODY)) == [
        "library"
    ]
    question = "What is the capital of Peru?"
    assert await router.route(Settled(question), question, Conversation(), small_desk.agents, ANYBODY) == Routing(
        (), ()
    )


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("How long is it, and how wide is the door?", ["How long is it", "how wide is the door?"]),
        ("If a book is late, what does it cost?", ["If a book is late, what does it cost?"]),
        ("What is the difference between tea and coffee?", ["What is the difference between tea and coffee?"]),
        ("Who cuts shoots? Which tools help?", ["Who cuts shoots?", "Which tools help?"]),
    ],
)
def test_questions_are_taken_apart_where_another_begins(question: str, found: list[str]) -> None:
    assert parts(question) == found


def test_a_part_that_points_back_is_given_what_it_points_to() -> None:
    question = "Which endpoint creates a return, and what does it cost on the nano plan?"
    assert parts(question)[1] == "what does it cost on the nano plan (creates a return)?"


async def test_the_sample_desk_routes_a_whole_chat(sample_desk: Any) -> None:
    chat = [
        ("What is the nano pricing plan?", "The Nano plan costs $9 a month. [1]", {"pricing"}),
        ("And how many returns does it include?", "It includes 3 returns a year. [1]", {"pricing"}),
        ("How do I reset my password?", "Select Forgot your password? and Send reset link. [1]", {"help-guides"}),
        (
            "Which endpoint creates a return, and what does it cost on that plan?",
            "POST /returns. [1] Each further return costs $6.50. [2]",
            {"taxgenii-api", "pricing"},
        ),
        ("What is the capital of Peru?", "I can't answer that.", set()),
    ]
    before: list[str] = []
    for question, answer, agents in chat:
        assert set(asked(await sample_desk.route(question, *before))) == agents, question
        before += [question, answer]
