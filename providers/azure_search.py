"""A retriever on Azure AI Search: one index for each agent, `{prefix}-{agent}`, one search document for each chunk."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.search.documents.aio import SearchClient
from azure.search.documents.indexes.aio import SearchIndexClient
from azure.search.documents.indexes.models import SearchableField, SearchFieldDataType, SearchIndex, SimpleField
from azure.search.documents.models import IndexDocumentsBatch

from domain.chunking import chunk
from domain.errors import SearchUnavailable
from domain.knowledge import Chunk, Document, IndexReport, Passage, TermStatistics
from domain.ports import Retriever
from settings import Settings

LAYOUT = 1
"""Goes into every stored digest: a new number makes the next indexing write everything again. Raise it when the fields
or their analyzers change."""

PAGE = 1_000
"""Search documents read at a time; the service's own maximum."""
BATCH_ROWS = 500
BATCH_BYTES = 1_000_000
"""Of JSON. A request may hold 1,000 search documents and 16 MB; up to 1 MiB is sent without holding up the loop."""

PATIENCE = 10.0
"""Seconds for one request with its retries."""
_CONNECT_PATIENCE = 3.0
_RETRIES = {"retry_total": 2, "retry_connect": 2, "retry_read": 2, "retry_status": 2, "retry_backoff_factor": 0.2}
# The SDK repeats a POST only after some statuses. All of ours can be repeated: searches, and writes by key.
_REPEATABLE = frozenset({"GET", "PUT", "POST", "DELETE"})

_ANALYZER = "en.lucene"
_SHOWN = ["id", "document_id", "title_path", "text", "url", "updated", "position"]
_INDEX_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])+")
_OPERATORS = re.compile(r"""([-+|"()'\\*~])""")
_ROW_BYTES = len('"@search.action": "upload", , ')
_MAX_WORDS = 200
_MAX_WORD = 200

Row = dict[str, Any]


class AzureSearch(Retriever):
    """Belongs to one event loop; end it with `close`. `check` proves the search of each of `agents`; others can be
    indexed and searched all the same. Raises ValueError when an agent's name cannot be part of an index's."""

    def __init__(
        self, endpoint: str, key: str, prefix: str, agents: Sequence[str] = (), *, patience: float = PATIENCE
    ) -> None:
        self._endpoint = endpoint
        self._credential = AzureKeyCredential(key)
        self._prefix = prefix
        self._agents = tuple(agents)
        self._patience = patience
        self._options = {
            **_RETRIES,
            "connection_timeout": min(_CONNECT_PATIENCE, patience),
            "read_timeout": patience,
        }
        self._indexes = SearchIndexClient(endpoint, self._credential, **self._options)
        self._clients = {agent: self._open(agent) for agent in self._agents}

    @classmethod
    def of(cls, settings: Settings, agents: Sequence[str], *, patience: float = PATIENCE) -> "AzureSearch":
        """Raises ValueError, too, when AZURE_ENDPOINT and AZURE_KEY are not set."""
        if settings.azure_search_endpoint is None or settings.azure_search_key is None:
            raise ValueError("Azure AI Search is not configured")
        key = settings.azure_search_key.get_secret_value()
        return cls(settings.azure_search_endpoint, key, settings.azure_search_index_prefix, agents, patience=patience)

    @property
    def name(self) -> str:
        return "Azure AI Search"

    async def index(
        self, agent: str, documents: Sequence[Document], progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        """Safe to break off and repeat: a document counts as unchanged only when all its chunks are there, and old
        chunks go after the new ones have come. The service shows writes after a second or so; indexing again within
        it repeats work and does no harm."""
        async with self._asking():
            await self._indexes.create_or_update_index(
                _definition(index_name(self._prefix, agent)), retry_on_methods=_REPEATABLE
            )
        client = self._client(agent)
        held = await self._held(client)
        tally = _Tally()
        waiting: list[Row] = []
        stale: list[str] = []
        for done, document in enumerate({document.id: document for document in documents}.values(), 1):
            old = held.pop(document.id, _Held())
            if old.is_all_of(document):
                tally.unchanged += 1
                tally.chunks += len(old.rows)
            else:
                new = await asyncio.to_thread(_rows, document)
                tally.note(old, new)
                waiting += new
                stale += old.rows.keys() - {row["id"] for row in new}
                if len(waiting) >= BATCH_ROWS:
                    await self._write(client, waiting)
                    waiting = []
            if progress is not None:
                progress(done)
        await self._write(client, waiting)
        stale += [key for gone in held.values() for key in gone.rows]
        await self._write(client, [{"id": key} for key in stale], delete=True)
        return IndexReport(agent, tally.added, tally.changed, len(held), tally.unchanged, tally.chunks)

    async def search(self, agent: str, question: str, limit: int) -> list[Passage]:
        query = simple_query(question)
        if not query or limit < 1:
            return []
        return [_passage(agent, row) for row in await self._ask(self._client(agent), query, min(limit, PAGE), _SHOWN)]

    async def term_statistics(self, agent: str, terms: Sequence[str]) -> TermStatistics | None:
        """None: the service does not tell how rare a term is."""
        return None

    async def check(self) -> None:
        for client in self._clients.values():
            await self._ask(client, "ready", 1, ["id"])

    async def close(self) -> None:
        await self._indexes.close()
        for client in self._clients.values():
            await client.close()

    async def _ask(self, client: SearchClient, query: str, limit: int, fields: list[str]) -> list[Row]:
        async with self._asking():
            found = await client.search(
                query,
                query_type="simple",
                search_mode="any",
                search_fields=["title_path", "text"],
                select=fields,
                top=limit,
                retry_on_methods=_REPEATABLE,
            )
            return [dict(row) async for row in found]

    async def _held(self, client: SearchClient) -> dict[str, "_Held"]:
        """What the index holds, by document id, read in pages by key: the service skips no more than 100,000."""
        held: dict[str, _Held] = {}
        after: str | None = None
        while True:
            async with self._asking():
                found = await client.search(
                    "*",
                    filter=None if after is None else f"id gt '{after}'",
                    order_by=["id asc"],
                    select=["id", "document_id", "digest", "pieces"],
                    top=PAGE,
                    retry_on_methods=_REPEATABLE,
                )
                page = [row async for row in found]
            for row in page:
                held.setdefault(row["document_id"], _Held()).rows[row["id"]] = (row["digest"], row["pieces"])
            if len(page) < PAGE:
                return held
            after = page[-1]["id"]

    async def _write(self, client: SearchClient, rows: Sequence[Row], *, delete: bool = False) -> None:
        for batch in _batches(rows):
            actions = IndexDocumentsBatch()
            (actions.add_delete_actions if delete else actions.add_upload_actions)(batch)
            async with self._asking():
                results = await client.index_documents(actions, retry_on_methods=_REPEATABLE)
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
        except AzureError as error:
            raise _unavailable(error) from error


def index_name(prefix: str, agent: str) -> str:
    """Raises ValueError for a name that the service would refuse: it takes 2 to 128 lower-case letters, digits and
    single hyphens."""
    name = f"{prefix}-{agent}".lower().replace("_", "-")
    if not _INDEX_NAME.fullmatch(name) or len(name) > 128:
        raise ValueError(f"{name!r} cannot name an index of Azure AI Search: check AZURE_SEARCH_INDEX_PREFIX")
    return name


def simple_query(question: str) -> str:
    """The question in the service's simple query syntax with every operator escaped, so that it is only words.
    Empty when there is nothing in it to search for. The service limits a query's clauses, so the end of a very long
    question is left out."""
    sayable = question.encode("utf-8", "ignore").decode()
    words = [word[:_MAX_WORD] for word in sayable.split() if any(map(str.isalnum, word))]
    return _OPERATORS.sub(r"\\\1", " ".join(words[:_MAX_WORDS]))


@dataclass(slots=True)
class _Held:
    """The stored chunks of one document: key → the document's digest, and how many chunks it had then."""

    rows: dict[str, tuple[str, int]] = field(default_factory=dict)

    def is_all_of(self, document: Document) -> bool:
        wanted = (_digest(document), len(self.rows))
        return bool(self.rows) and all(row == wanted for row in self.rows.values())


@dataclass(slots=True)
class _Tally:
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    chunks: int = 0

    def note(self, old: _Held, new: Sequence[Row]) -> None:
        self.changed += bool(old.rows)
        self.added += not old.rows
        self.chunks += len(new)


def _definition(name: str) -> SearchIndex:
    text, number = SearchFieldDataType.STRING, SearchFieldDataType.INT32
    return SearchIndex(
        name=name,
        fields=[
            SimpleField(name="id", type=text, key=True, filterable=True, sortable=True),
            SimpleField(name="document_id", type=text, filterable=True),
            SearchableField(name="title_path", collection=True, analyzer_name=_ANALYZER),
            SearchableField(name="text", analyzer_name=_ANALYZER),
            SimpleField(name="url", type=text),
            SimpleField(name="updated", type=SearchFieldDataType.DATE_TIME_OFFSET, filterable=True, sortable=True),
            SimpleField(name="position", type=number, filterable=True),
            SimpleField(name="digest", type=text, filterable=True),
            SimpleField(name="pieces", type=number),
        ],
    )


def _digest(document: Document) -> str:
    return f"{LAYOUT}:{document.digest}"


def _rows(document: Document) -> list[Row]:
    chunks = chunk(document)
    return [
        {
            "id": _key(piece.id),
            "document_id": piece.document_id,
            "title_path": list(piece.title_path),
            "text": piece.text,
            "url": piece.url,
            "updated": None if piece.updated is None else f"{piece.updated.isoformat()}T00:00:00Z",
            "position": piece.position,
            "digest": _digest(document),
            "pieces": len(chunks),
        }
        for piece in chunks
    ]


def _key(chunk_id: str) -> str:
    """A key may hold letters, digits, `_`, `-` and `=`, up to 1,024 of them."""
    return base64.urlsafe_b64encode(chunk_id.encode()).decode()


def _passage(agent: str, row: Mapping[str, Any]) -> Passage:
    found = Chunk(
        id=base64.urlsafe_b64decode(row["id"]).decode(),
        document_id=row["document_id"],
        agent=agent,
        title_path=tuple(row["title_path"]),
        text=row["text"],
        position=row["position"],
        url=row["url"],
        updated=None if row["updated"] is None else date.fromisoformat(row["updated"][:10]),
    )
    return Passage(found, row["@search.score"])


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        weight = len(json.dumps(row)) + _ROW_BYTES
        if batch and (len(batch) == BATCH_ROWS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += weight
    if batch:
        yield batch


def _unavailable(error: AzureError) -> SearchUnavailable:
    """Messages are ours alone: the SDK's can hold the endpoint and the service's own words."""
    match error.status_code if isinstance(error, HttpResponseError) else None:
        case 401 | 403:
            return SearchUnavailable("The search service refuses this server's key.")
        case 404:
            return SearchUnavailable("This knowledge base has not been indexed yet.")
        case 429 | 503:
            return SearchUnavailable("The search service is busy. Wait a little, then try again.")
    return SearchUnavailable()
