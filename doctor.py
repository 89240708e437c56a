"""What `answerdesk doctor` finds: each service that the settings name, asked once as a turn asks it, and what to mend.

Nothing here holds a secret: places are shown without user names, passwords and parameters, and the services' own words,
which may repeat a key, are read for what they mean and not shown.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlsplit

from langchain_core.messages import HumanMessage

from db.engine import Database
from db.failures import trouble_of as database_trouble_of
from db.revisions import NotMigratedError
from domain.agents.catalog import AgentCatalog
from domain.errors import DatabaseUnavailable
from domain.troubles import Trouble
from embeddings import open_embeddings
from models import AnyModel, Models, choose_models
from providers.embedding_models import NoVectorError
from providers.fallback import Deployment
from providers.openai import OPENAI_URL
from providers.redis_log import RedisTurnLog
from providers.remedies import (
    ANY,
    AZURE_SEARCH,
    EMBEDDED_SEARCH,
    NO_VECTORS,
    REDIS,
    RERANKER,
    SEARCH_ROLES,
    embedding_remedies,
)
from providers.reranking import RerankServer
from providers.troubles import trouble_of
from search import open_retriever
from settings import Settings

GREETING = "Answer with the word OK."
HERE = "in this process"
Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One service. `milliseconds` is what its one call took, None when there was none to make; `remedy` is a sentence
    for whoever runs the desk, "" when all is well."""

    service: str
    what: str
    where: str
    milliseconds: float | None = None
    trouble: Trouble | None = None
    remedy: str = ""

    @property
    def reachable(self) -> bool | None:
        """None when it was not asked."""
        return None if self.trouble is Trouble.ANONYMOUS else self.trouble not in (Trouble.UNREACHABLE, Trouble.SILENT)

    @property
    def authorised(self) -> bool | None:
        """None when it could not be asked."""
        if self.reachable is False:
            return None
        return self.trouble not in (Trouble.ANONYMOUS, Trouble.UNAUTHORISED)

    def told(self) -> dict[str, object]:
        """For programs."""
        return {**asdict(self), "reachable": self.reachable, "authorised": self.authorised}


class Doctor:
    """`patience` is how long in seconds each service may take. No request is repeated, so that what is wrong is told and
    not waited for."""

    def __init__(self, settings: Settings, patience: float) -> None:
        self._settings = settings.model_copy(update={"model_retries": 0, "search_retries": 0})
        self._patience = patience

    async def examine(self) -> list[Finding]:
        """All services, at the same time. Raises ValueError for a broken agents.toml."""
        settings, catalog = self._settings, AgentCatalog.load(self._settings.agents_file)
        models = choose_models(settings, catalog)
        async with _closed(models.close):
            asked = [*self._models(models), self._search(catalog), self._database()]
            if settings.uses_vectors or settings.azure_openai_embedding_deployment or settings.openai_embedding_model:
                asked.append(self._embeddings())
            if models.reranks is not None:
                asked.append(self._reranker(models.reranks))
            if settings.redis_url is not None:
                asked.append(self._redis(settings.redis_url.get_secret_value()))
            return await asyncio.gather(*asked)

    def _models(self, models: Models) -> list[Coroutine[None, None, Finding]]:
        """Each deployment or model once, whatever it is for."""
        if not models.answers.deployments:
            return [_unasked(Finding("answer model", models.answers.name, HERE))]
        roles: list[tuple[str, AnyModel]] = [("answer model", models.answers)]
        if models.decides is not None:
            roles.append(("deciding model", models.decides))
        roles += [(f"model of {agent}", model) for agent, model in models.of_agents.items()]
        first: dict[str, tuple[str, Deployment]] = {}
        for service, model in roles:
            first.setdefault(model.deployments[0].name, (service, model.deployments[0]))
        asked = [self._model(service, self._settings, deployment) for service, deployment in first.values()]
        if self._settings.fallback is not None:
            asked.append(self._model("fallback model", self._settings.fallback, models.answers.deployments[-1]))
        return asked

    async def _model(self, service: str, settings: Settings, deployment: Deployment) -> Finding:
        where = _where(settings, bool(settings.azure_openai_endpoint))

        async def ask() -> None:
            async for _ in deployment.chat.astream([HumanMessage(GREETING)]):
                pass

        return await self._asked(Finding(service, deployment.name, where), ask, deployment.remedies)

    async def _embeddings(self) -> Finding:
        settings = self._settings
        by_azure = bool(settings.azure_openai_embedding_deployment)
        deployed = by_azure or settings.openai_embedding_model
        async with open_embeddings(settings) as model:
            finding = Finding("embedding model", model.name, _where(settings, by_azure) if deployed else HERE)
            return await self._asked(finding, lambda: model.embed([GREETING]), embedding_remedies(settings))

    async def _reranker(self, reranker: RerankServer) -> Finding:
        finding = Finding("reranker", reranker.name, place(self._settings.rerank_base_url or ""))
        return await self._asked(finding, lambda: reranker.scores(GREETING, [GREETING]), RERANKER)

    async def _search(self, catalog: AgentCatalog) -> Finding:
        endpoint, folder = self._settings.azure_search_endpoint, self._settings.data_dir / "index"
        async with open_retriever(self._settings, catalog) as retriever:
            finding = Finding("search", retriever.name, place(endpoint) if endpoint else str(folder))
            remedies = AZURE_SEARCH | self._by_role(SEARCH_ROLES) if endpoint else EMBEDDED_SEARCH
            return await self._asked(finding, retriever.check, remedies)

    def _by_role(self, sentence: str) -> dict[Trouble, str]:
        """What to mend where a role counts and not a key."""
        return {Trouble.UNAUTHORISED: sentence} if self._settings.uses_entra else {}

    async def _database(self) -> Finding:
        async with Database.open(self._settings.database, 1) as database:

            async def ask() -> None:
                await database.check()
                await database.require_migrated()

            finding = Finding("database", database.name, place(self._settings.database))
            return await self._asked(finding, ask, DATABASE)

    async def _redis(self, url: str) -> Finding:
        log = RedisTurnLog(url, self._settings.redis_prefix)
        async with _closed(log.close):
            return await self._asked(Finding("turn log", "Redis", place(url)), log.check, REDIS)

    async def _asked(self, finding: Finding, ask: Ask, remedies: Mapping[Trouble, str]) -> Finding:
        trouble, remedy = None, ""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience):
                await ask()
        except NotMigratedError as error:
            trouble, remedy = Trouble.MISSING, str(error)
        except Exception as error:
            trouble = database_trouble_of(error) if isinstance(error, DatabaseUnavailable) else trouble_of(error)
            remedy = remedies.get(trouble) or ANY[trouble]
            if isinstance(error.__cause__, NoVectorError):
                remedy = NO_VECTORS
        milliseconds = round((time.perf_counter() - began) * 1000, 1)
        return replace(finding, milliseconds=milliseconds, trouble=trouble, remedy=remedy)


async def _unasked(finding: Finding) -> Finding:
    return finding


@asynccontextmanager
async def _closed(close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await close()


def _where(settings: Settings, by_azure: bool) -> str:
    if by_azure and settings.azure_openai_endpoint:
        return f"{place(settings.azure_openai_endpoint)}, api-version {settings.azure_openai_api_version}"
    return place(settings.openai_base_url or OPENAI_URL)


def place(address: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(address)
    if not parts.hostname:
        return parts.path.replace("//", "/", 1) if parts.scheme else address
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return (
        f"{parts.scheme.partition('+')[0]}://{host}" + (f":{parts.port}" if parts.port else "") + parts.path.rstrip("/")
    )


DATABASE = {
    Trouble.UNREACHABLE: "Check DATABASE_URL, and that the database server runs.",
    Trouble.UNAUTHORISED: "The user or the password in DATABASE_URL is wrong, or that user may not use this database.",
    Trouble.MISSING: "The database that DATABASE_URL names is not there: create it, then run `answerdesk migrate`.",
    Trouble.BUSY: "The server has no connection left, or the file is locked: look who holds them.",
}
