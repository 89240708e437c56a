"""Which models the settings chose: who writes the answers, who decides, and what makes vectors. Part of the wiring."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from domain.agents.answering import ModelError
from domain.agents.catalog import AgentCatalog
from domain.troubles import Trouble
from providers.azure_openai import azure_openai_embeddings, azure_openai_model
from providers.breaker import Breaker
from providers.direct_answers import DirectAnswers
from providers.embedding_models import EmbeddingModel, LocalEmbeddings
from providers.embeddings import installed_embedder
from providers.entra import Identity
from providers.extractive import ExtractiveChatModel
from providers.fallback import Deployment, Deployments
from providers.model_errors import model_error
from providers.openai import close_model, openai_embeddings, openai_model
from providers.remedies import fallback_remedies, model_remedies
from settings import Settings


@dataclass(frozen=True, slots=True)
class Model:
    """An answer model, what it is called in the banner, and how its exceptions are read."""

    chat: Deployments | BaseChatModel
    name: str
    error: ModelError
    identity: Identity | None = None

    @property
    def state(self) -> str:
        """Its name, and what of it is left alone just now."""
        paused = self.chat.paused if isinstance(self.chat, Deployments) else ()
        return f"{self.name} (paused after failures: {' and '.join(paused)})" if paused else self.name

    async def close(self) -> None:
        if isinstance(self.chat, Deployments):
            await self.chat.close()
        if self.identity is not None:
            await self.identity.close()


@dataclass(frozen=True, slots=True)
class DecidingModel:
    """A language model that decides, and what it is called in the banner."""

    chat: BaseChatModel
    name: str
    identity: Identity | None = None

    async def close(self) -> None:
        await close_model(self.chat)
        if self.identity is not None:
            await self.identity.close()


@dataclass(frozen=True, slots=True)
class Models:
    """Who writes the answers, who writes those of agents with a model of their own, and who decides; None when that is
    the embedded method."""

    answers: Model
    of_agents: Mapping[str, Model]
    decides: DecidingModel | None

    async def close(self) -> None:
        for model in (self.answers, *self.of_agents.values()):
            await model.close()
        if self.decides is not None:
            await self.decides.close()


def choose_models(settings: Settings, catalog: AgentCatalog) -> Models:
    """One for each role. Agents that name a deployment or a model which the services that are configured do not have are
    answered for by the desk's."""
    own = {agent.name: settings.asking(agent.deployment, agent.model) for agent in catalog.all}
    of_agents = {name: choose_model(its) for name, its in own.items() if its != settings}
    return Models(choose_model(settings), of_agents, _choose_deciding(settings))


def _choose_deciding(settings: Settings) -> DecidingModel | None:
    its = settings.for_decisions
    if its is None:
        return None
    if its.azure_openai_deployment:
        identity = Identity() if its.uses_entra else None
        name = f"Azure OpenAI, deployment {its.azure_openai_deployment}"
        return DecidingModel(azure_openai_model(its, identity), name, identity)
    name = f"{its.openai_model} at {its.openai_base_url or 'api.openai.com'}"
    return DecidingModel(openai_model(its), name)


def choose_model(settings: Settings) -> Model:
    """Azure OpenAI, else an OpenAI-compatible server, else the embedded extractive model."""

    def deployment(name: str, chat: DirectAnswers, remedies: Mapping[Trouble, str]) -> Deployment:
        breaker = Breaker(settings.model_breaker_failures, settings.model_breaker_seconds)
        return Deployment(name, chat, remedies, breaker)

    patience = settings.turn_first_token_seconds
    if settings.azure_openai_deployment:
        identity = Identity() if settings.uses_entra else None
        name = f"Azure OpenAI, deployment {settings.azure_openai_deployment}"
        first = deployment(name, azure_openai_model(settings, identity), model_remedies(settings))
        other = settings.fallback
        if other is None:
            return Model(Deployments([first], patience), name, model_error, identity)
        called = f"Azure OpenAI, fallback deployment {other.azure_openai_deployment}"
        second = deployment(called, azure_openai_model(other, identity), fallback_remedies(settings))
        both = f"{name}, or else deployment {other.azure_openai_deployment}"
        return Model(Deployments([first, second], patience), both, model_error, identity)
    if settings.openai_model:
        name = f"{settings.openai_model} at {settings.openai_base_url or 'api.openai.com'}"
        only = deployment(name, openai_model(settings), model_remedies(settings))
        return Model(Deployments([only], patience), name, model_error)
    return Model(ExtractiveChatModel(), "embedded, extractive (quotes the documents)", lambda failure: None)


@asynccontextmanager
async def open_embeddings(settings: Settings) -> AsyncIterator[EmbeddingModel]:
    """What makes the vectors of Azure AI Search: Azure OpenAI, else an OpenAI-compatible server, else the embedded model.
    Raises ValueError when there is none of them."""
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(Identity()) if settings.uses_entra else None
        model = _choose_embeddings(settings, identity)
        stack.push_async_callback(model.close)
        yield model


def _choose_embeddings(settings: Settings, identity: Identity | None) -> EmbeddingModel:
    if settings.azure_openai_embedding_deployment:
        return azure_openai_embeddings(settings, identity)
    if settings.openai_embedding_model:
        return openai_embeddings(settings)
    embedder = installed_embedder() if settings.embeddings == "auto" else None
    if embedder is None:
        raise ValueError(
            f"AZURE_SEARCH_MODE={settings.azure_search_mode} needs vectors: set AZURE_OPENAI_EMBEDDING_DEPLOYMENT or "
            "OPENAI_EMBEDDING_MODEL, or run `make embeddings`"
        )
    return LocalEmbeddings(embedder)
