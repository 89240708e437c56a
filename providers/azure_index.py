"""How chunks lie in an index of Azure AI Search: its name, its fields, and one search document (a row) for each chunk."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from json import dumps
from typing import Any

from azure.search.documents.indexes.models import (
    HnswAlgorithmConfiguration,
    SearchableField,
    SearchField,
    SearchFieldDataType,
    SearchIndex,
    SemanticConfiguration,
    SemanticField,
    SemanticPrioritizedFields,
    SemanticSearch,
    SimpleField,
    VectorSearch,
    VectorSearchProfile,
)

from domain.chunking import chunk
from domain.knowledge import Chunk, Document, Passage, Reader

LAYOUT = 3
"""Goes into every stored digest: a new number makes the next indexing write everything again. Raise it when the fields
or their analyzers change."""

BATCH_ROWS = 500
BATCH_BYTES = 1_000_000
"""Of JSON. A request may hold 1,000 search documents and 16 MB; up to 1 MiB is sent without holding up the loop."""

AUDIENCE = "audience"
EVERYBODY = "*"
"""Stands in the audience of a document that has none, since it is no username. So a row without any, which a program wrote
that knew of none, is nobody's."""
_NAMES_END_AT = ","
SHOWN = ["id", "document_id", "title_path", "text", "url", "updated", "position", "start"]
WORDS = ["title_path", "text"]
"""The fields in which words are looked for."""
OURS = "answerdesk"
"""What our profile, algorithm and semantic configuration are called."""

_ANALYZER = "en.lucene"
_INDEX_NAME = re.compile(r"[a-z0-9](-?[a-z0-9])+")
_ROW_BYTES = len('"@search.action": "upload", , ')

Row = dict[str, Any]


def index_name(prefix: str, agent: str) -> str:
    """Raises ValueError for a name that the service would refuse: it takes 2 to 128 lower-case letters, digits and
    single hyphens."""
    name = f"{prefix}-{agent}".lower().replace("_", "-")
    if not _INDEX_NAME.fullmatch(name) or len(name) > 128:
        raise ValueError(f"{name!r} cannot name an index of Azure AI Search: check AZURE_SEARCH_INDEX_PREFIX")
    return name


def vector_field(dimensions: int) -> str:
    """A field's length cannot be changed, so there is one for each length."""
    return f"vector_{dimensions}"


def defined(held: SearchIndex | None, name: str, dimensions: int | None, semantic: bool) -> SearchIndex:
    """The index as it has to be: what `held` defines, with what it lacks of ours. The service takes no field away, and
    what others added (scoring profiles, synonyms) stays. `dimensions` is the vectors' length, None without vectors."""
    index = held or SearchIndex(name=name, fields=[])
    known = {field.name for field in index.fields}
    index.fields += [field for field in _fields(dimensions) if field.name not in known]
    if dimensions is not None:
        _add_vector_search(index)
    if semantic:
        _add_semantic_ranking(index)
    return index


def _fields(dimensions: int | None) -> Iterator[SearchField]:
    text, number = SearchFieldDataType.STRING, SearchFieldDataType.INT32
    yield SimpleField(name="id", type=text, key=True, filterable=True, sortable=True)
    yield SimpleField(name="document_id", type=text, filterable=True)
    yield SearchableField(name="title_path", collection=True, analyzer_name=_ANALYZER)
    yield SearchableField(name="text", analyzer_name=_ANALYZER)
    yield SimpleField(name="url", type=text)
    yield SimpleField(name="updated", type=SearchFieldDataType.DATE_TIME_OFFSET, filterable=True, sortable=True)
    yield SimpleField(name="position", type=number, filterable=True)
    yield SimpleField(name="start", type=number)
    yield SimpleField(name="digest", type=text, filterable=True)
    yield SimpleField(name="pieces", type=number)
    yield SimpleField(name=AUDIENCE, type=f"Collection({text.value})", filterable=True, hidden=True)
    if dimensions is not None:
        yield SearchField(
            name=vector_field(dimensions),
            type="Collection(Edm.Single)",
            searchable=True,
            retrievable=False,
            vector_search_dimensions=dimensions,
            vector_search_profile_name=OURS,
        )


def _add_vector_search(index: SearchIndex) -> None:
    """Hierarchical navigable small worlds with the service's own parameters: cosine, 4 neighbours."""
    search = index.vector_search = index.vector_search or VectorSearch()
    search.algorithms = search.algorithms or []
    search.profiles = search.profiles or []
    if all(algorithm.name != OURS for algorithm in search.algorithms):
        search.algorithms.append(HnswAlgorithmConfiguration(name=OURS))
    if all(profile.name != OURS for profile in search.profiles):
        search.profiles.append(VectorSearchProfile(name=OURS, algorithm_configuration_name=OURS))


def _add_semantic_ranking(index: SearchIndex) -> None:
    search = index.semantic_search = index.semantic_search or SemanticSearch()
    search.configurations = search.configurations or []
    if all(configuration.name != OURS for configuration in search.configurations):
        fields = SemanticPrioritizedFields(
            content_fields=[SemanticField(field_name="text")],
            keywords_fields=[SemanticField(field_name="title_path")],  # a title must be one text
        )
        search.configurations.append(SemanticConfiguration(name=OURS, prioritized_fields=fields))


@dataclass(slots=True)
class Held:
    """The stored chunks of one document: key → the document's digest, and how many chunks it had then."""

    rows: dict[str, tuple[str, int]] = field(default_factory=dict)

    def is_all_of(self, digest: str) -> bool:
        return bool(self.rows) and all(row == (digest, len(self.rows)) for row in self.rows.values())


def digest_of(document: Document, embedded_by: str | None) -> str:
    """What must be the same for a document to stay as it is in the index. `embedded_by` names the model of its vectors."""
    return f"{LAYOUT}:{document.digest}" if embedded_by is None else f"{LAYOUT}:{embedded_by}:{document.digest}"


def rows_of(document: Document, digest: str) -> list[Row]:
    """Without vectors."""
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
            "start": piece.start,
            "digest": digest,
            "pieces": len(chunks),
            AUDIENCE: list(document.audience) or [EVERYBODY],
        }
        for piece in chunks
    ]


def text_of(row: Mapping[str, Any]) -> str:
    """What a row's vector is of."""
    return f"{' › '.join(row['title_path'])}\n{row['text']}".strip()


def of_document(document_id: str) -> str:
    """The filter of a document's chunks."""
    literal = document_id.replace("'", "''")
    return f"document_id eq '{literal}'"


def open_to(reader: Reader) -> str:
    """The filter of what a reader may read, in OData's form for it
    (https://learn.microsoft.com/azure/search/search-security-trimming-for-azure-search). `search.in` compares exactly."""
    names = [EVERYBODY, reader.username] if reader.username and _NAMES_END_AT not in reader.username else [EVERYBODY]
    listed = _NAMES_END_AT.join(names).replace("'", "''")
    return f"{AUDIENCE}/any(name: search.in(name, '{listed}', '{_NAMES_END_AT}'))"


def _key(chunk_id: str) -> str:
    """A key may hold letters, digits, `_`, `-` and `=`, up to 1,024 of them."""
    return base64.urlsafe_b64encode(chunk_id.encode()).decode()


def passage_of(agent: str, row: Mapping[str, Any]) -> Passage:
    """Its score is the reranker's (0 to 4) where there was one, else the search's, which only orders one answer's rows."""
    reranked = row.get("@search.reranker_score")
    return Passage(chunk_of(agent, row), row["@search.score"] if reranked is None else reranked)


def chunk_of(agent: str, row: Mapping[str, Any]) -> Chunk:
    return Chunk(
        id=base64.urlsafe_b64decode(row["id"]).decode(),
        document_id=row["document_id"],
        agent=agent,
        title_path=tuple(row["title_path"]),
        text=row["text"],
        position=row["position"],
        url=row["url"],
        updated=None if row["updated"] is None else date.fromisoformat(row["updated"][:10]),
        start=row.get("start"),
    )


def batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Of BATCH_ROWS and BATCH_BYTES at most; a row that is larger by itself goes alone."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        bytes_of_row = len(dumps(row)) + _ROW_BYTES
        if batch and (len(batch) == BATCH_ROWS or size + bytes_of_row > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += bytes_of_row
    if batch:
        yield batch
