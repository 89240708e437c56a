"""A desk where a model decides: a real client asks a stand-in, and the embedded model answers."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.agents.catalog import AgentCatalog
from domain.agents.deciding import Decider
from domain.agents.patience import ORDINARY
from domain.agents.reply_forms import ReplyForm
from domain.agents.state import Draft, TurnContext
from domain.agents.workflow import build_workflow
from domain.knowledge import ANYBODY
from domain.model import Message, Role, Route, RouteMethod
from domain.ports import History
from models import choose_model
from providers.extractive import ExtractiveChatModel
from providers.fallback import Deployments
from providers.model_errors import model_error
from settings import Settings
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Written
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies, Step

TOMATOES = "How often should I water tomatoes?"
SHORT = 0.3
LIMIT = 3
"""Failures in a row after which the model is left alone."""
GENEROUS = 20.0
"""Seconds in which any of these decisions comes; who waits for it longer would wait for ever."""
NOW = datetime.now(UTC)
GOOD = {"routes": [{"agent": "library", "confidence": 0.75, "reason": "It asks about books.", "questions": []}]}


@dataclass
class Told(History):
    """A conversation that was."""

    messages: list[Message] = field(default_factory=list)

    def tell(self, *texts: str) -> None:
        """Questions and answers by turns."""
        self.messages = [
            Message(n, 1, 1, (Role.USER, Role.ASSISTANT)[n % 2], text, NOW) for n, text in enumerate(texts)
        ]

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        return self.messages


@dataclass
class Noted(Written):
    standalone: str = ""

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        super().route_chosen(routes, standalone_question)
        self.standalone = standalone_question


@dataclass
class Deciding:
    """A desk where a model decides and the embedded one answers."""

    desk: Desk
    model: Deployments
    upstream: AzureOpenAIStandIn
    history: Told = field(default_factory=Told)
    seconds: float = GENEROUS
    written: Noted = field(default_factory=Noted)
    form: ReplyForm | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        self.decider = Decider(self.model, model_error, self.seconds, self.form, self.strict)

    async def ask(self, question: str, *steps: Step, seen: tuple[str, ...] = (), chosen: tuple[str, ...] = ()) -> Draft:
        """With the replies that the model gives. `seen` are the agents that the viewer may ask; none means all."""
        self.upstream.script(*steps)
        self.written = Noted()
        catalog = AgentCatalog(tuple(self.desk.agents))
        agents = tuple(agent for agent in catalog.all if not seen or agent.name in seen)
        workflow = build_workflow(
            self.history, self.desk.search, catalog, ExtractiveChatModel(), "m", model_error, ORDINARY, self.decider
        )
        asked, answer = Message(98, 1, 9, Role.USER, question, NOW), Message(99, 1, 9, Role.ASSISTANT, "", NOW)
        return await workflow(TurnContext(asked, answer, agents, chosen, self.written, ANYBODY))

    @property
    def routes(self) -> list[tuple[str, RouteMethod]]:
        return [(route.agent, route.method) for route in self.written.routes]

    @property
    def sources(self) -> set[str]:
        return {source.agent for source in self.written.sources}


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        yield server


@pytest.fixture
async def deciding_model(upstream: AzureOpenAIStandIn) -> AsyncIterator[Deployments]:
    address = f"{upstream.url}/v1"
    settings = Settings(
        _env_file=None,
        openai_model="m",
        openai_base_url=address,
        model_retries=0,
        model_breaker_failures=LIMIT,
        turn_first_token_seconds=GENEROUS,
    )
    made = choose_model(settings)
    assert isinstance(made.chat, Deployments)
    yield made.chat
    await made.close()


@pytest.fixture
def deciding(small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn) -> Deciding:
    return Deciding(small_desk, deciding_model, upstream)


def routes(*named: tuple[str, Any], **others: Any) -> Replies:
    """A call that names these agents, each with its confidence."""
    return Replies(
        {"routes": [{"agent": agent, "confidence": sure, "reason": "R."} for agent, sure in named], **others}
    )
