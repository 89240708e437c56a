"""One agent's search index: an SQLite file with its chunks, who may read them, a full-text index of their terms and,
optionally, vectors or a latent-semantic space (providers/latent_space.py).

The terms are those of `domain.terms`, joined by spaces; FTS5 only keeps and finds them (its `ascii` tokenizer cuts
nothing else apart, given the marks that stand inside terms). Writers wait for one another; readers, in this process or
another, see the index before or after a writer's transaction, never in between (write-ahead logging).
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from domain.knowledge import Chunk, Document
from domain.terms import VERSION as TERMS
from providers.latent_space import ChunkTerms, Space

STAMP = f"4 terms {TERMS}"
"""A file with another stamp is built anew."""
TITLE_WEIGHT = 3.0
"""How often a term in a chunk's title path counts, a term in its text counting once."""
BUSY_SECONDS = 0.25
WRITER_PATIENCE_SECONDS = 900.0

_SCHEMA = """
DROP TABLE IF EXISTS occurrences;
DROP TABLE IF EXISTS vocabulary;
DROP TABLE IF EXISTS passages;
DROP TABLE IF EXISTS vectors;
DROP TABLE IF EXISTS term_points;
DROP TABLE IF EXISTS chunk_points;
DROP TABLE IF EXISTS chunks;
DROP TABLE IF EXISTS audiences;
DROP TABLE IF EXISTS documents;
DROP TABLE IF EXISTS facts;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (id TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audiences (username TEXT, document_id TEXT, PRIMARY KEY (username, document_id)) WITHOUT ROWID;
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL, agent TEXT NOT NULL,
    title_path TEXT NOT NULL, text TEXT NOT NULL, position INTEGER NOT NULL, url TEXT, updated TEXT, length REAL NOT NULL,
    restricted INTEGER NOT NULL, start INTEGER
);
CREATE INDEX chunks_of_document ON chunks (document_id);
CREATE INDEX restricted_chunks ON chunks (document_id) WHERE restricted;
CREATE TABLE vectors (number INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE term_points (term TEXT PRIMARY KEY, point BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE chunk_points (number INTEGER PRIMARY KEY, point BLOB NOT NULL);
CREATE VIRTUAL TABLE passages USING fts5 (title_terms, body_terms, tokenize = "ascii tokenchars '_.$'");
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (passages, row);
CREATE VIRTUAL TABLE occurrences USING fts5vocab (passages, instance);
"""

_ANY = "SELECT 1 FROM passages WHERE passages MATCH ? LIMIT 1"
_ALLOWED = "(NOT restricted OR document_id IN (SELECT value FROM json_each(:allowed)))"
_MATCHES = f"""
WITH found AS (
    SELECT occurrences.doc AS number, occurrences.term AS term,
           SUM(CASE occurrences.col WHEN 'title_terms' THEN :title_weight ELSE 1 END) AS often
    FROM json_each(:terms) AS asked CROSS JOIN occurrences ON occurrences.term = asked.value
    GROUP BY occurrences.doc, occurrences.term
)
SELECT found.number, found.term, found.often, chunks.length FROM found JOIN chunks ON chunks.number = found.number
WHERE {_ALLOWED}
"""  # noqa: S608


_VIEW = """
SELECT edition.value, document_id FROM facts AS stamp JOIN facts AS edition ON edition.name = 'edition'
LEFT JOIN audiences ON username = :username
WHERE stamp.name = 'stamp' AND stamp.value = :stamp ORDER BY document_id
"""
VIEWS = 1_000
"""Kept in memory."""

Allowed = tuple[str, ...]
"""The ids of documents with an audience that may be read all the same, in order."""


class View(NamedTuple):
    """One edition of an index as some readers see it, who may read the same. An edition's name is its own: no other
    contents have it, in this index or another."""

    edition: str
    allowed: Allowed


@lru_cache(maxsize=VIEWS)
def _view(edition: str, allowed: Allowed) -> View:
    """One for all who keep something by it."""
    return View(edition, allowed)


class IndexFile:
    """An open index. Belongs to one thread at a time; made by `writing` and by `providers.index_readers`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._renewed = False

    @classmethod
    @contextmanager
    def writing(cls, path: Path, proceed: Callable[[], None]) -> Iterator["IndexFile"]:
        """One transaction: all that is done, or nothing after an exception. While another process writes, `proceed`
        is called now and then, and may raise. Raises sqlite3.Error."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(connect(f"{path.resolve().as_uri()}?mode=rwc")) as connection:
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE"):
                _patiently(connection, statement, proceed)
            try:
                index = cls(connection)
                if index.fact("stamp") != STAMP:
                    index._build()
                yield index
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _build(self) -> None:
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)
        self.set_fact("stamp", STAMP)
        self._renew()

    # ------------------------------------------------------------ facts about the index

    def fact(self, name: str) -> str | None:
        """Anything known about the index by name; None too when it is not an index yet."""
        rows = self._rows("SELECT value FROM facts WHERE name = :name", {"name": name})
        return rows[0][0] if rows else None

    def set_fact(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def digests(self) -> dict[str, str]:
        """Each document's digest by its id."""
        return dict(self._connection.execute("SELECT id, digest FROM documents"))

    def size(self) -> int:
        """The number of all chunks, whoever may read them."""
        (chunks,) = self._connection.execute("SELECT COUNT(*) FROM chunks").fetchone()
        return int(chunks)

    def _rows(self, query: str, values: Mapping[str, str]) -> list[Any]:
        """No rows when it is not an index yet."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise

    # ------------------------------------------------------------ who may read what

    def view(self, username: str) -> View | None:
        """What this user sees, by the documents with an audience that names him; None when it is no index of this version."""
        rows = self._rows(_VIEW, {"username": username, "stamp": STAMP})
        return _view(rows[0][0], tuple(name for _, name in rows if name is not None)) if rows else None

    def hidden(self, allowed: Allowed) -> frozenset[int]:
        """The numbers of the chunks that stay hidden from whom only these are open to."""
        query = f"SELECT number FROM chunks WHERE restricted AND NOT {_ALLOWED}"  # noqa: S608
        return frozenset(number for (number,) in self._connection.execute(query, _parameters(allowed)))

    # ------------------------------------------------------------ documents

    def remove_document(self, document_id: str) -> None:
        self._renew()
        numbers = "(SELECT number FROM chunks WHERE document_id = ?)"
        for table, key in (("passages", "rowid"), ("vectors", "number"), ("chunks", "number")):
            self._connection.execute(f"DELETE FROM {table} WHERE {key} IN {numbers}", (document_id,))  # noqa: S608
        self._connection.execute("DELETE FROM audiences WHERE document_id = ?", (document_id,))
        self._connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    def add_document(self, document: Document, chunks: Iterable[tuple[Chunk, list[str], list[str]]]) -> None:
        """Takes the document's chunks, each with the terms of its title path and of its text."""
        self._renew()
        self._connection.execute("INSERT INTO documents VALUES (?, ?)", (document.id, document.digest))
        restricted = bool(document.audience)
        named = [(username, document.id) for username in sorted(set(document.audience))]
        self._connection.executemany("INSERT INTO audiences VALUES (?, ?)", named)
        for chunk, title, body in chunks:
            updated = chunk.updated.isoformat() if chunk.updated else None
            path = json.dumps(chunk.title_path, ensure_ascii=False)
            length = TITLE_WEIGHT * len(title) + len(body)
            of_chunk = (chunk.id, document.id, chunk.agent)
            number = self._connection.execute(
                "INSERT INTO chunks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*of_chunk, path, chunk.text, chunk.position, chunk.url, updated, length, restricted, chunk.start),
            ).lastrowid
            row = (number, " ".join(title), " ".join(body))
            self._connection.execute("INSERT INTO passages (rowid, title_terms, body_terms) VALUES (?, ?, ?)", row)

    @property
    def edition(self) -> str | None:
        """A name of the contents, which no others have, for those who keep something of them; None while nothing was
        written."""
        return self.fact("edition")

    def _renew(self) -> None:
        """Once in a transaction that changes anything."""
        if not self._renewed:
            self.set_fact("edition", uuid4().hex)
            self._renewed = True

    # ------------------------------------------------------------ vectors

    def without_vector(self, document_id: str) -> dict[int, Chunk]:
        rows = self._connection.execute(
            "SELECT * FROM chunks WHERE document_id = ? AND number NOT IN (SELECT number FROM vectors)", (document_id,)
        )
        return {row[0]: _chunk(row) for row in rows}

    def add_vectors(self, vectors: Mapping[int, bytes]) -> None:
        self._renew()
        self._connection.executemany("INSERT INTO vectors VALUES (?, ?)", vectors.items())

    def drop_vectors(self) -> None:
        self._renew()
        self._connection.execute("DELETE FROM vectors")

    def vectors(self) -> list[tuple[int, bytes]]:
        return self._connection.execute("SELECT number, vector FROM vectors ORDER BY number").fetchall()

    # ------------------------------------------------------------ a latent-semantic space

    @property
    def has_space(self) -> bool:
        """Whether a space was sought for these very contents, though there be none."""
        return self.fact("space") == self.edition

    def read_terms(self) -> Iterator[ChunkTerms]:
        """Of every chunk."""
        rows = self._connection.execute(
            "SELECT number, title_terms, body_terms, restricted FROM passages JOIN chunks ON number = passages.rowid"
        )
        for number, title, body, restricted in rows:
            yield ChunkTerms(number, [*title.split(), *body.split()], bool(restricted))

    def set_space(self, space: Space | None) -> None:
        """Takes the place of the one before."""
        self.drop_space()
        self._renew()
        if space is not None:
            self._connection.executemany("INSERT INTO term_points VALUES (?, ?)", space.terms.items())
            self._connection.executemany("INSERT INTO chunk_points VALUES (?, ?)", space.chunks.items())
        self.set_fact("space", str(self.edition))

    def drop_space(self) -> None:
        if self.fact("space") is not None:
            self._renew()
            for emptied in ("FROM term_points", "FROM chunk_points", "FROM facts WHERE name = 'space'"):
                self._connection.execute(f"DELETE {emptied}")

    def term_points(self, terms: Sequence[str]) -> dict[str, bytes]:
        """Of those that have one."""
        query = "SELECT term, point FROM json_each(?) AS asked JOIN term_points ON term = asked.value"
        return dict(self._connection.execute(query, (json.dumps(list(terms)),)))

    # ------------------------------------------------------------ finding

    def measure(self, allowed: Allowed) -> tuple[int, float]:
        """The number of chunks that may be read, and their mean length in terms."""
        query = f"SELECT COUNT(*), AVG(length) FROM chunks WHERE {_ALLOWED}"  # noqa: S608
        chunks, mean = self._connection.execute(query, _parameters(allowed)).fetchone()
        return chunks, mean or 1.0

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many chunks each of these terms stands, those in none left out; of all chunks, for nobody to be told."""
        return dict(
            self._connection.execute(
                "SELECT term, doc FROM json_each(?) AS asked CROSS JOIN vocabulary ON term = asked.value",
                (json.dumps(list(terms)),),
            )
        )

    def matches(self, terms: Sequence[str], allowed: Allowed) -> Iterator[tuple[int, str, float, float]]:
        """For each chunk that may be read and each of the (different) terms in it: the chunk's number, the term, how
        often it stands there (weighted) and the chunk's length. That none stands anywhere is told in half the time."""
        if not self._connection.execute(_ANY, (" OR ".join(map(_quoted, terms)),)).fetchone():
            return
        asked = {"terms": json.dumps(list(terms)), "title_weight": TITLE_WEIGHT}
        yield from self._connection.execute(_MATCHES, asked | _parameters(allowed))

    def chunks(self, numbers: Sequence[int]) -> dict[int, tuple[Chunk, bytes]]:
        """Each with its point in the space; an empty one for what does not lie in it."""
        query = """
            SELECT point, chunks.* FROM json_each(?) AS asked JOIN chunks ON chunks.number = asked.value
            LEFT JOIN chunk_points ON chunk_points.number = chunks.number
        """
        rows = self._connection.execute(query, (json.dumps(list(numbers)),))
        return {row[0]: (_chunk(row), point or b"") for point, *row in rows}

    def chunks_of(self, document_id: str, allowed: Allowed) -> list[Chunk]:
        """In order; none of a document that may not be read."""
        query = f"SELECT * FROM chunks WHERE document_id = :document AND {_ALLOWED} ORDER BY position"  # noqa: S608
        return [
            _chunk(row) for row in self._connection.execute(query, {"document": document_id} | _parameters(allowed))
        ]


def connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)


def _patiently(connection: sqlite3.Connection, statement: str, proceed: Callable[[], None]) -> None:
    """Executes a statement that has to wait for other writers."""
    until = time.monotonic() + WRITER_PATIENCE_SECONDS
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        proceed()


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _parameters(allowed: Allowed) -> dict[str, str]:
    return {"allowed": json.dumps(allowed)}


def _chunk(row: Sequence[object]) -> Chunk:
    _, name, document_id, agent, title_path, text, position, url, updated, _, _, start = row
    return Chunk(
        id=str(name),
        document_id=str(document_id),
        agent=str(agent),
        title_path=tuple(json.loads(str(title_path))),
        text=str(text),
        position=int(str(position)),
        url=None if url is None else str(url),
        updated=None if updated is None else date.fromisoformat(str(updated)),
        start=None if start is None else int(str(start)),
    )
