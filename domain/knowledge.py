"""Knowledge: a document of an agent's knowledge base, the chunks it is cut into, and passages, chunks that a search found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import SupportsFloat
from urllib.parse import urldefrag


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom documents are searched: the user of this name, to whom those are shown that are for everybody and those
    whose audience names them. Names are compared exactly."""

    username: str


ANYBODY = Reader("")
"""Nobody's name: who is shown what everybody is."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a knowledge base, read but not yet cut. `id` is its path below the knowledge base without
    the ending; `body` is Markdown or an OpenAPI document, by `media_type`. `digest` changes when the file does.
    `audience` names the users who may read it; empty means everybody who may ask the agent."""

    id: str
    agent: str
    title: str
    body: str
    media_type: str
    digest: str
    url: str | None = None
    updated: date | None = None
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one document that can be understood alone. `title_path` goes from the document's title down to
    the section's; `url` carries the section's anchor; `position` is its place in the document, from 0; `start` is where
    its text begins in the document's (`DocumentText`), None where an index does not know."""

    id: str
    document_id: str
    agent: str
    title_path: tuple[str, ...]
    text: str
    position: int
    url: str | None = None
    updated: date | None = None
    start: int | None = None

    @property
    def title(self) -> str:
        return titled(self.title_path)


def titled(title_path: Sequence[str]) -> str:
    return " › ".join(title_path)


BETWEEN_CHUNKS = "\n\n"


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document as it is searched and cited: its chunks' texts in order, BETWEEN_CHUNKS between them."""

    agent: str
    id: str
    title: str
    text: str
    url: str | None = None
    updated: date | None = None

    @classmethod
    def of(cls, chunks: Sequence[Chunk]) -> "DocumentText":
        """All chunks of one document, in order."""
        first, text = chunks[0], BETWEEN_CHUNKS.join(chunk.text for chunk in chunks)
        url = urldefrag(first.url).url if first.url else None
        return cls(first.agent, first.document_id, first.title_path[0], text, url, first.updated)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was retrieved. `score` is the search engine's, higher is better, comparable within one search.
    `likeness` is the cosine of the question to it, where the engine compares vectors of its own; `latent` is the cosine in
    the latent-semantic space of its knowledge base, where the engine has one, reckoned when it is read."""

    chunk: Chunk
    score: float
    likeness: float | None = None
    latent: SupportsFloat | None = None


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """In how many of an agent's `chunks` each term stands. Terms are those of `domain.terms.terms`."""

    chunks: int
    frequency: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What indexing one knowledge base did, counted in documents (and chunks now held)."""

    agent: str
    added: int
    changed: int
    removed: int
    unchanged: int
    chunks: int
