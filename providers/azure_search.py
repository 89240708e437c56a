"""A retriever on Azure AI Search: one index for each agent, `{prefix}-{agent}`, one search document for each chunk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.search.documents.aio import SearchClient
from azure.search.documents.indexes.aio import SearchIndexClient
from azure.search.documents.models import IndexDocumentsBatch

from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Chunk, Document, IndexReport, Passage, Reader, TermStatistics
from domain.ports import Retriever
from providers.azure_index import (
    BATCH_ROWS,
    SHOWN,
    Held,
    Row,
    batches,
    chunk_of,
    defined,
    digest_of,
    index_name,
    of_document,
    open_to,
    passage_of,
    rows_of,
    text_of,
    vector_field,
)
from providers.azure_ranking import Ranking, said
from providers.embedding_models import EmbeddingModel, NoVectorError, QuestionVectors
from providers.entra import Identity, NoTokenError
from providers.retry_after import retry_after
from settings import Settings

PAGE = 1_000
"""Search documents read at a time; the service's own maximum."""
EMBEDDED_AT_ONCE = 64

PATIENCE = 10.0
"""Seconds for one request with its retries."""
_CONNECT_PATIENCE = 3.0
RETRIES = 2
_BACKOFF = 0.2
# The SDK repeats a POST only after some statuses. All of ours can be repeated: searches, and writes by key.
_REPEATABLE = frozenset({"GET", "PUT", "POST", "DELETE"})

NO_VECTORS = "The search has no vectors: its embedding model cannot be asked."


class AzureSearch(Retriever):
    """Belongs to one event loop; end it with `close`. `credential` is a key, or an identity that
    stays its maker's to close. `check` proves the search of each of `agents`; others can be
    indexed and searched all the same. Raises ValueError when an agent's name cannot be part of an index's."""

    def __init__(
        self,
        endpoint: str,
        credential: str | Identity,
        prefix: str,
        agents: Sequence[str] = (),
        *,
        ranking: Ranking | None = None,
        patience: float = PATIENCE,
        retries: int = RETRIES,
    ) -> None:
        self._endpoint = endpoint
        self._credential = AzureKeyCredential(credential) if isinstance(credential, str) else credential
        # The SDK sends tokens over TLS only; settings.py lets them go without to this machine alone.
        plain = isinstance(credential, Identity) and endpoint.startswith("http:")
        self._each: dict[str, Any] = {"retry_on_methods": _REPEATABLE, **({"enforce_https": False} if plain else {})}
        self._prefix = prefix
        self._agents = tuple(agents)
        self._ranking = ranking or Ranking()
        self._questions = QuestionVectors(self._ranking.model) if self._ranking.model else None
        self._patience = patience
        self._options = {
            **{f"retry_{kind}": retries for kind in ("total", "connect", "read", "status")},
            "retry_backoff_factor": _BACKOFF,
            "connection_timeout": min(_CONNECT_PATIENCE, patience),
            "read_timeout": patience,
        }
        self._indexes = SearchIndexClient(endpoint, self._credential, **self._options)
        self._clients = {agent: self._open(agent) for agent in self._agents}

    @classmethod
    def of(
        cls,
        settings: Settings,
        agents: Sequence[str],
        identity: Identity | None = None,
        model: EmbeddingModel | None = None,
        *,
        patience: float = PATIENCE,
    ) -> "AzureSearch":
        """`model` is for the vectors of AZURE_SEARCH_MODE and stays its maker's to close. Raises ValueError, too, when
        AZURE_ENDPOINT is not set, neither AZURE_KEY nor an identity is there, or a model is lacking."""
        key = settings.azure_search_key
        credential = identity or (key.get_secret_value() if key else None)
        if settings.azure_search_endpoint is None or credential is None:
            raise ValueError("Azure AI Search is not configured")
        if settings.uses_vectors and model is None:
            raise ValueError(f"AZURE_SEARCH_MODE={settings.azure_search_mode} needs an embedding model")
        return cls(
            settings.azure_search_endpoint,
            credential,
            settings.azure_search_index_prefix,
            agents,
            ranking=Ranking(
                settings.azure_search_mode != "vector",
                model if settings.uses_vectors else None,
                settings.azure_search_semantic,
            ),
            patience=patience,
            retries=settings.search_retries,
        )

    @property
    def name(self) -> str:
        ranking = self._ranking
        found_by = [*(["words"] if ranking.words else []), *([ranking.model.name] if ranking.model else [])]
        return f"Azure AI Search, by {' and '.join(found_by)}{', ranked semantically' if ranking.semantic else ''}"

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        """Safe to break off and repeat: a document counts as unchanged only when all its chunks are there, and old
        chunks go after the new ones have come. The service shows writes after a second or so; indexing again within
        it repeats work and does no harm."""
        await self._define(index_name(self._prefix, agent))
        client = self._client(agent)
        held = await self._held(client)
        tally = _Tally()
        waiting: list[Row] = []
        stale: list[str] = []
        model = self._ranking.model
        for done, document in enumerate({document.id: document for document in documents}.values(), 1):
            old = held.pop(document.id, Held())
            digest = digest_of(document, model.name if model else None)
            if old.is_all_of(digest):
                tally.unchanged += 1
                tally.chunks += len(old.rows)
            else:
                new = await asyncio.to_thread(rows_of, document, digest)
                tally.note(old, new)
                waiting += new
                stale += old.rows.keys() - {row["id"] for row in new}
                if len(waiting) >= BATCH_ROWS:
                    await self._upload(client, waiting)
                    waiting = []
            if progress is not None:
                progress(done)
        await self._upload(client, waiting)
        stale += [key for gone in held.values() for key in gone.rows]
        await self._write(client, [{"id": key} for key in stale], delete=True)
        return IndexReport(agent, tally.added, tally.changed, len(held), tally.unchanged, tally.chunks)

    async def search(self, agent: str, question: str, limit: int, reader: Reader) -> list[Passage]:
        """The service counts words over the whole index: a score by words, though not which passages there are, tells
        that there is more."""
        if not said(question) or limit < 1:
            return []
        rows = await self._ask(self._client(agent), question, min(limit, PAGE), SHOWN, reader)
        return [passage_of(agent, row) for row in rows]

    async def term_statistics(self, agent: str, terms: Sequence[str], reader: Reader) -> TermStatistics | None:
        """None: the service does not tell how rare a term is."""
        return None

    async def chunks(self, agent: str, document_id: str, reader: Reader) -> list[Chunk]:
        wanted = f"{of_document(document_id)} and {open_to(reader)}"
        rows = [row async for row in self._all(self._client(agent), SHOWN, wanted)]
        return sorted((chunk_of(agent, row) for row in rows), key=lambda chunk: chunk.position)

    async def likeness(self, question: str, texts: Sequence[str]) -> Sequence[float] | None:
        """None: vectors are compared by the service, which tells no cosines, and by whichever model was deployed."""
        return None

    async def check(self) -> None:
        for client in self._clients.values():
            await self._ask(client, "ready", 1, ["id"], ANYBODY)

    async def close(self) -> None:
        if self._questions:
            await self._questions.close()
        await self._indexes.close()
        for client in self._clients.values():
            await client.close()

    async def _ask(
        self, client: SearchClient, question: str, limit: int, fields: list[str], reader: Reader
    ) -> list[Row]:
        async with self._asking():
            vector = await self._questions.of(question) if self._questions else None
            asked = self._ranking.query(question, vector, limit)
            found = await client.search(**asked, filter=open_to(reader), select=fields, top=limit, **self._each)
            return [dict(row) async for row in found]

    async def _define(self, name: str) -> None:
        """Makes the index, or adds what it lacks."""
        dimensions = await self._dimensions()
        async with self._asking():
            try:
                held = await self._indexes.get_index(name, **self._each)
            except ResourceNotFoundError:
                held = None
            wanted = defined(held, name, dimensions, self._ranking.semantic)
            await self._indexes.create_or_update_index(wanted, **self._each)

    async def _dimensions(self) -> int | None:
        """How long the model's vectors are: it is asked for one."""
        if self._questions is None:
            return None
        with _embedding():
            return len(await self._questions.of("How long are your vectors?"))

    async def _held(self, client: SearchClient) -> dict[str, Held]:
        """What the index holds, by document id."""
        held: dict[str, Held] = {}
        async for row in self._all(client, ["id", "document_id", "digest", "pieces"]):
            held.setdefault(row["document_id"], Held()).rows[row["id"]] = (row["digest"], row["pieces"])
        return held

    async def _all(self, client: SearchClient, fields: list[str], wanted: str | None = None) -> AsyncIterator[Row]:
        """All rows that a filter lets through, read in pages by key: the service skips no more than 100,000."""
        after: str | None = None
        while True:
            behind = None if after is None else f"id gt '{after}'"
            async with self._asking():
                found = await client.search(
                    "*",
                    filter=" and ".join(filter(None, [wanted, behind])) or None,
                    order_by=["id asc"],
                    select=fields,
                    top=PAGE,
                    **self._each,
                )
                page = [dict(row) async for row in found]
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            after = page[-1]["id"]

    async def _upload(self, client: SearchClient, rows: Sequence[Row]) -> None:
        model = self._ranking.model
        for start in range(0, len(rows) if model else 0, EMBEDDED_AT_ONCE):
            assert model is not None  # noqa: S101
            some = rows[start : start + EMBEDDED_AT_ONCE]
            with _embedding():
                vectors = await model.embed([text_of(row) for row in some])
            for row, vector in zip(some, vectors, strict=True):
                row[vector_field(len(vector))] = vector
        await self._write(client, rows)

    async def _write(self, client: SearchClient, rows: Sequence[Row], *, delete: bool = False) -> None:
        for batch in batches(rows):
            actions = IndexDocumentsBatch()
            (actions.add_delete_actions if delete else actions.add_upload_actions)(batch)
            async with self._asking():
                results = await client.index_documents(actions, **self._each)
            refused = sum(not result.succeeded for result in results)
            if refused:
                raise SearchUnavailable(f"The search service did not take {refused} of {len(batch)} changes.")

    def _client(self, agent: str) -> SearchClient:
        if agent not in self._clients:
            self._clients[agent] = self._open(agent)
        return self._clients[agent]

    def _open(self, agent: str) -> SearchClient:
        return SearchClient(self._endpoint, index_name(self._prefix, agent), self._credential, **self._options)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """One request, retries included, however long the service asks to wait between them."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError as error:
            raise SearchUnavailable("The search service took too long.") from error
        except NoVectorError as error:
            raise SearchUnavailable(NO_VECTORS) from error
        except AzureError as error:
            raise _unavailable(error) from error


@dataclass(slots=True)
class _Tally:
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    chunks: int = 0

    def note(self, old: Held, new: Sequence[Row]) -> None:
        self.changed += bool(old.rows)
        self.added += not old.rows
        self.chunks += len(new)


@contextmanager
def _embedding() -> Iterator[None]:
    try:
        yield
    except NoVectorError as error:
        raise SearchUnavailable(NO_VECTORS) from error


def _wait(error: AzureError) -> dict[str, int]:
    seconds = retry_after(getattr(getattr(error, "response", None), "headers", None) or {})
    return {} if seconds is None else {"retry_after": seconds}


def _unavailable(error: AzureError) -> SearchUnavailable:
    """Messages are ours alone: the SDK's can hold the endpoint and the service's own words."""
    if isinstance(error, NoTokenError):
        return SearchUnavailable("This server has no credentials for the search service.")
    match error.status_code if isinstance(error, HttpResponseError) else None:
        case 401 | 403:
            return SearchUnavailable("The search service refuses this server's credentials.")
        case 404:
            return SearchUnavailable("This knowledge base has not been indexed yet.")
        case 429 | 503:
            return SearchUnavailable("The search service is busy. Wait a little, then try again.", **_wait(error))
    return SearchUnavailable()
