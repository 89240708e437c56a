"""Reading the folder of a knowledge base: Markdown with front matter, plain text and OpenAPI 3 descriptions.

A document may name its `audience`. Whatever looks as if it were meant to, and is not understood, is an error: a document
that was to be kept from somebody must not be shown to everybody because of a slip of the pen.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import frontmatter
import structlog
import yaml
from frontmatter.default_handlers import YAMLHandler

from domain.chunking import MARKDOWN, OPENAPI, PLAIN_TEXT
from domain.chunking import VERSION as CHUNKING
from domain.inputs import is_username
from domain.knowledge import Document
from domain.markdown import first_heading
from domain.openapi import api_title, api_url, load_api

AUDIENCE = "audience"
_LOOSE_AUDIENCE = re.compile(
    r"\s*(?:---|\+\+\+)[ \t]*\n(?:[^\n]*\S[^\n]*\n)*?[ \t]*audiences?[ \t]*[:=]", re.IGNORECASE
)
"""What begins like front matter, of whichever kind, and names an audience before its first empty line."""

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
    """Title, address, date and audience from the front matter; the title falls back to the first heading."""
    try:
        matter, body = frontmatter.parse(text, handler=YAMLHandler())
    except yaml.YAMLError as error:
        raise ValueError(f"the front matter is not YAML: {error}") from error
    if not matter:
        _no_audience_in(text)
        body = text
    title = matter.get("title") or first_heading(body)
    return {
        "title": str(title) if title else None,
        "body": body,
        "media_type": MARKDOWN,
        "url": str(matter["url"]) if matter.get("url") else None,
        "updated": _date(matter.get("updated")),
        "audience": _audience(matter, AUDIENCE),
    }


def _read_text(text: str) -> dict[str, Any]:
    _no_audience_in(text)
    return {"body": text, "media_type": PLAIN_TEXT}


def _read_api(text: str) -> dict[str, Any] | None:
    try:
        api = load_api(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from error
    if api is None:
        return None
    found = api.get("info")
    info = found if isinstance(found, dict) else {}
    _no_other_audience(api, "info.x-audience")
    return {
        "title": api_title(api),
        "body": text,
        "media_type": OPENAPI,
        "url": api_url(api),
        "updated": _date(info.get("x-updated")),
        "audience": _audience(info, f"x-{AUDIENCE}"),
    }


def _audience(matter: Mapping[Any, Any], key: str) -> tuple[str, ...] | None:
    """None where there is none. Raises ValueError for what is no list of usernames, and for a key that is almost `key`."""
    _no_other_audience({other: value for other, value in matter.items() if other != key}, key)
    if key not in matter:
        return None
    named = matter[key]
    if not isinstance(named, list) or not named:
        raise ValueError(f"`{key}` must be a list of the users who may read this; without it, everybody may")
    for name in named:
        if not isinstance(name, str) or not is_username(name):
            raise ValueError(f"`{key}` holds {name!r}, which is no username (a number has to stand in quotes)")
    return tuple(named)


def _no_other_audience(matter: Mapping[Any, Any], key: str) -> None:
    for other in matter:
        if str(other).strip().casefold().removeprefix("x-").rstrip("s") == AUDIENCE:
            raise ValueError(f"`{other}` is not known: write it as `{key}`")


def _no_audience_in(text: str) -> None:
    """Raises ValueError when `text` begins like front matter with an audience, and cannot be read so."""
    if _LOOSE_AUDIENCE.match(text):
        raise ValueError(
            f"its `{AUDIENCE}` is not understood: front matter stands in Markdown, between two lines of `---`"
        )


def _date(value: object) -> date | None:
    """Raises ValueError for what is no date."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))
