"""Which models the settings chose: who writes the answers, who decides, and who reads again. Part of the wiring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from langchain_core.language_models import BaseChatModel

from domain.agents.answering import ModelError
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.deciding import Decider
from domain.agents.patience import Patience
from domain.agents.reply_forms import ReplyForm
from domain.agents.summaries import Summaries
from domain.agents.workflow import AnswerModel, build_workflow
from domain.breaker import Breaker
from domain.ports import History, Retriever
from domain.runner import Workflow
from domain.troubles import Trouble
from providers.extractive import ExtractiveChatModel
from providers.remedies import agent_remedies, fallback_remedies, model_remedies, small_remedies
from settings import Settings

if TYPE_CHECKING:  # their SDKs take seconds to import: the functions that make them do it, once a setting asks for them
    from providers.entra import Identity
    from providers.fallback import Deployment, Deployments
    from providers.reranking import RerankServer

Chat = TypeVar("Chat", bound="Deployments | BaseChatModel", covariant=True)
Remedies = Callable[[Settings], Mapping[Trouble, str]]


@dataclass(frozen=True, slots=True)
class Model(Generic[Chat]):
    """A language model, what it is called in the banner, and how its exceptions are read."""

    chat: Chat
    name: str
    error: ModelError
    identity: "Identity | None" = None

    @property
    def deployments(self) -> "tuple[Deployment, ...]":
        """Who is asked over the network, in this order."""
        return () if isinstance(self.chat, BaseChatModel) else self.chat.deployments

    @property
    def state(self) -> str:
        """Its name, and what of it is left alone just now."""
        paused = () if isinstance(self.chat, BaseChatModel) else self.chat.paused
        return f"{self.name} (paused after failures: {' and '.join(paused)})" if paused else self.name

    async def close(self) -> None:
        if not isinstance(self.chat, BaseChatModel):
            await self.chat.close()
        if self.identity is not None:
            await self.identity.close()


AnyModel: TypeAlias = "Model[Deployments | BaseChatModel]"


@dataclass(frozen=True, slots=True)
class Models:
    """Who writes the answers, who writes those of agents with a model of their own, who decides (None when that is the
    embedded method) and the one `decider` that asks it and learns in which form, and who reads passages again."""

    answers: AnyModel
    of_agents: Mapping[str, AnyModel]
    decides: "Model[Deployments] | None"
    decider: Decider | None
    reranks: "RerankServer | None"

    async def close(self) -> None:
        for model in (self.answers, *self.of_agents.values(), *([self.decides] if self.decides else [])):
            await model.close()
        if self.reranks is not None:
            await self.reranks.close()


def choose_models(settings: Settings, catalog: AgentCatalog) -> Models:
    """One for each role. Agents that name a deployment or a model which the services that are configured do not have are
    answered for by the desk's."""
    own = {agent.name: (agent, settings.asking(agent.deployment, agent.model)) for agent in catalog.all}
    of_agents = {name: _choose_own(agent, its) for name, (agent, its) in own.items() if its != settings}
    its = settings.for_decisions
    decides = None if its is None else _deployed(its, small_remedies, its.decision_seconds)
    decider = None if decides is None else _decider(settings, decides)
    return Models(choose_model(settings), of_agents, decides, decider, _choose_reranker(settings))


def choose_model(settings: Settings) -> AnyModel:
    """Azure OpenAI, else an OpenAI-compatible server, else the embedded extractive model."""
    return _choose(settings, model_remedies)


def answer_workflow(
    settings: Settings,
    history: History,
    retriever: Retriever,
    catalog: AgentCatalog,
    models: Models,
    summaries: Summaries | None = None,
) -> Workflow:
    """What answers a question, in a turn, in the terminal or in an evaluation."""
    patience = Patience(settings.turn_first_token_seconds, settings.turn_silence_seconds)
    model = models.answers
    own = {agent: AnswerModel(its.chat, its.name) for agent, its in models.of_agents.items()}
    return build_workflow(
        history,
        retriever,
        catalog,
        model.chat,
        model.name,
        model.error,
        patience,
        models.decider,
        own,
        models.reranks,
        summaries,
    )


def _decider(settings: Settings, model: "Model[Deployments]") -> Decider:
    form = None if settings.decision_format == "auto" else ReplyForm(settings.decision_format)
    strict = bool(settings.azure_openai_deployment) or settings.openai_base_url is None
    return Decider(model.chat, model.error, settings.decision_seconds, form, strict)


def _choose_own(agent: Agent, settings: Settings) -> AnyModel:
    return _choose(settings, lambda its: agent_remedies(its, agent.name))


def _choose(settings: Settings, remedies: Remedies) -> AnyModel:
    if settings.azure_openai_deployment or settings.openai_model:
        return _deployed(settings, remedies, settings.turn_first_token_seconds)
    return Model(ExtractiveChatModel(), "embedded, extractive (quotes the documents)", lambda failure: None)


def _deployed(settings: Settings, remedies: Remedies, patience: float) -> "Model[Deployments]":
    """The deployment or model that the settings name, and its fallback where there is one. Each has a breaker of its
    own: what is too slow for one role may do for another."""
    from providers.azure_openai import azure_openai_model
    from providers.entra import Identity
    from providers.fallback import Deployment, Deployments
    from providers.model_errors import model_error
    from providers.openai import openai_model

    if not settings.azure_openai_deployment:
        name = f"{settings.openai_model} at {settings.openai_base_url or 'api.openai.com'}"
        only = Deployment(name, openai_model(settings), remedies(settings), _breaker(settings))
        return Model(Deployments([only], patience), name, model_error)
    identity = Identity() if settings.uses_entra else None
    name = f"Azure OpenAI, deployment {settings.azure_openai_deployment}"
    first = Deployment(name, azure_openai_model(settings, identity), remedies(settings), _breaker(settings))
    other = settings.fallback
    if other is None:
        return Model(Deployments([first], patience), name, model_error, identity)
    called = f"Azure OpenAI, fallback deployment {other.azure_openai_deployment}"
    chat = azure_openai_model(other, identity)
    second = Deployment(called, chat, fallback_remedies(settings), _breaker(settings))
    both = f"{name}, or else deployment {other.azure_openai_deployment}"
    return Model(Deployments([first, second], patience), both, model_error, identity)


def _choose_reranker(settings: Settings) -> "RerankServer | None":
    if settings.rerank_base_url is None:
        return None
    from providers.reranking import RerankServer

    return RerankServer.of(settings)


def _breaker(settings: Settings) -> Breaker:
    return Breaker(settings.model_breaker_failures, settings.model_breaker_seconds)
