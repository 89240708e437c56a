"""Reading the folder of a knowledge base: Markdown with front matter, plain text and OpenAPI 3 descriptions."""

import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import frontmatter
import structlog
import yaml
from frontmatter.default_handlers import YAMLHandler

from domain.chunking import MARKDOWN, OPENAPI, PLAIN_TEXT
from domain.chunking import VERSION as CHUNKING
from domain.knowledge import Document
from domain.markdown import first_heading
from domain.openapi import api_title, api_url, load_api

_log = structlog.get_logger()


class KnowledgeError(ValueError):
    """A knowledge base cannot be read; the message names the file and says why."""


def read_documents(agent: str, folder: Path) -> list[Document]:
    """Every document below `folder`, by id. Files of other kinds are named in a warning; hidden ones are not looked at.
    Raises KnowledgeError when the folder is missing, a file is broken, or two files would have the same id."""
    if not folder.is_dir():
        raise KnowledgeError(f"the knowledge base of {agent} is missing: {folder} is not a folder")
    documents: dict[str, Document] = {}
    for path in _files(folder):
        document = read_document(agent, folder, path)
        if document is None:
            _log.warning("this file is not a document that can be read, and is left out", agent=agent, file=str(path))
        elif document.id in documents:
            raise KnowledgeError(f"{path}: another file beside it has the same name but for the ending; rename one")
        else:
            documents[document.id] = document
    return [documents[name] for name in sorted(documents)]


def read_document(agent: str, folder: Path, path: Path) -> Document | None:
    """One file, or None when it is of another kind. Raises KnowledgeError when it is broken."""
    read = {
        ".md": _read_markdown,
        ".markdown": _read_markdown,
        ".txt": _read_text,
        ".yaml": _read_api,
        ".yml": _read_api,
        ".json": _read_api,
    }.get(path.suffix.lower())
    if read is None:
        return None
    try:
        content = path.read_bytes()
        found = read(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (OSError, ValueError) as error:
        raise KnowledgeError(f"{path} cannot be read: {error}") from error
    if found is None:
        return None
    return Document(
        id=path.relative_to(folder).with_suffix("").as_posix(),
        agent=agent,
        digest=hashlib.sha256(f"{CHUNKING}\n".encode() + content).hexdigest(),
        **{"title": path.stem, **{key: value for key, value in found.items() if value is not None}},
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _read_markdown(text: str) -> dict[str, Any]:
    """Title, address and date from the front matter; the title falls back to the first heading."""
    try:
        matter, body = frontmatter.parse(text, handler=YAMLHandler())
    except yaml.YAMLError as error:
        raise ValueError(f"the front matter is not YAML: {error}") from error
    if not matter:
        body = text
    title = matter.get("title") or first_heading(body)
    return {
        "title": str(title) if title else None,
        "body": body,
        "media_type": MARKDOWN,
        "url": str(matter["url"]) if matter.get("url") else None,
        "updated": _date(matter.get("updated")),
    }


def _read_text(text: str) -> dict[str, Any]:
    return {"body": text, "media_type": PLAIN_TEXT}


def _read_api(text: str) -> dict[str, Any] | None:
    try:
        api = load_api(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from error
    if api is None:
        return None
    info = api.get("info")
    updated = info.get("x-updated") if isinstance(info, dict) else None
    return {
        "title": api_title(api),
        "body": text,
        "media_type": OPENAPI,
        "url": api_url(api),
        "updated": _date(updated),
    }


def _date(value: object) -> date | None:
    """Raises ValueError for what is no date."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))
