"""Trusted documents: the operations that the clients of a server are known to send, from a folder or a manifest.

A folder holds one document in each of its `.graphql` and `.gql` files. A manifest is a JSON file in one of the forms
that build tools write:

    {"<id>": "<text>", …}                                          relay-compiler, GraphQL Code Generator
    {"format": "apollo-persisted-query-manifest", "version": 1,
     "operations": [{"id": …, "name": …, "type": …, "body": "<text>"}, …]}     Apollo's tools; also as an object by id
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from graph.requests import SHA256

SUFFIXES = (".graphql", ".gql")
APOLLO = "apollo-persisted-query-manifest"


@dataclass(frozen=True, slots=True)
class TrustedDocument:
    """`source` says where it stands, for a person; `id` is what a manifest calls it."""

    text: str
    source: str
    id: str | None = None


def read_trusted(path: Path) -> tuple[TrustedDocument, ...]:
    """Raises ValueError, which names the file, when it holds no documents or is in no known form."""
    try:
        found = tuple(_folder(path) if path.is_dir() else _manifest(path))
    except OSError as error:
        raise ValueError(f"TRUSTED_DOCUMENTS: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"TRUSTED_DOCUMENTS: a file of {path} is not UTF-8") from error
    if not found:
        raise ValueError(f"TRUSTED_DOCUMENTS: {path} holds no documents")
    return found


def by_id(documents: tuple[TrustedDocument, ...]) -> Mapping[str, str]:
    """The texts by all that a client may call them: the manifest's id, and the hash of the text, with and without the
    white space around it (editors end a file with a line end, clients send none). Raises ValueError."""
    texts: dict[str, str] = {}
    for document in documents:
        for text in (document.text, document.text.strip()):
            texts[hash_of(text)] = text
    for document in documents:
        if document.id is not None:
            key = document.id.removeprefix(SHA256)
            belied = document.id.startswith(SHA256) and key != hash_of(document.text)
            if belied or texts.setdefault(key, document.text) != document.text:
                raise ValueError(f"TRUSTED_DOCUMENTS: {document.source}: the id is another document's")
    return texts


def hash_of(text: str) -> str:
    """SHA-256 in lower-case hexadecimal, of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(path: Path) -> Iterator[TrustedDocument]:
    for file in sorted(path.rglob("*")):
        if file.suffix in SUFFIXES and file.is_file():
            yield TrustedDocument(file.read_bytes().decode(), str(file))


def _manifest(path: Path) -> Iterator[TrustedDocument]:
    try:
        manifest = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"TRUSTED_DOCUMENTS: {path} is not JSON: {error}") from error
    unknown = ValueError(f"TRUSTED_DOCUMENTS: {path} is no manifest in a form that is known here")
    if not isinstance(manifest, dict):
        raise unknown
    if "format" in manifest:
        if manifest["format"] != APOLLO or manifest.get("version") != 1:
            raise unknown
        entries = _apollo(manifest.get("operations"))
    else:
        entries = iter(manifest.items())
    for key, text in entries:
        if not (isinstance(key, str) and key and isinstance(text, str)):
            raise unknown
        yield TrustedDocument(text, f"{path}, {key}", key)


def _apollo(operations: Any) -> Iterator[tuple[Any, Any]]:
    """The ids and texts."""
    if isinstance(operations, dict):
        operations = [{"id": key, **entry} for key, entry in operations.items() if isinstance(entry, dict)]
    for operation in operations if isinstance(operations, list) else [None]:
        yield (operation.get("id"), operation.get("body")) if isinstance(operation, dict) else (None, None)
