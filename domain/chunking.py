"""Cutting documents into chunks: pieces that can be found, understood and cited alone.

A document is cut along its headings. A section of more than MAX_CHARACTERS is cut further, into pieces of about one
size, between lines or else sentences, without overlap; sections of a few words are put together. No word of a document
is lost: each stands in the text or the title path of a chunk, but for what speaks to the assistant instead of its
readers (`domain.injections`), in whose place WITHHELD stands.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import structlog

from domain.injections import injections, without_injections
from domain.knowledge import BETWEEN_CHUNKS, Chunk, Document
from domain.markdown import Section, sections
from domain.openapi import api_sections
from domain.terms import sentences

VERSION = 2
"""Rises when the same document gives other chunks; it is part of every document's digest."""

MAX_CHARACTERS = 1_200
"""Of a chunk's text. A code sample without any white space is the only thing that can be longer."""
TINY_CHARACTERS = 120
"""A section with less text than this is put together with its neighbors."""
LONG_CHARACTERS = MAX_CHARACTERS // 2
"""A block or line of more than this may be cut."""

MARKDOWN, PLAIN_TEXT, OPENAPI = "text/markdown", "text/plain", "application/vnd.oai.openapi"

_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_WRAPPED = re.compile(r"(?<=[^\n]{60})[ \t]*\n[ \t]*(?![-*•–\d\s])")


SHOWN = 200
"""Characters of what is withheld that the log shows."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is not cut. `before` is what stands between it and the unit before."""

    before: str
    text: str


def chunk(document: Document) -> list[Chunk]:
    """The chunks of one document, in its order. Raises ValueError for a media type that is not known here."""
    chunks: list[Chunk] = []
    start = 0
    for section in _sections(document):
        path, url = _title_path(document, section), _url(document, section)
        for whole in _cut(section.blocks):
            text, position = without_injections(whole), len(chunks)
            if text != whole:
                _warn(document, whole)
            chunks.append(
                Chunk(
                    id=f"{document.id}#{position}",
                    document_id=document.id,
                    agent=document.agent,
                    title_path=path,
                    text=text,
                    position=position,
                    url=url,
                    updated=document.updated,
                    start=start,
                )
            )
            start += len(text) + len(BETWEEN_CHUNKS)
    return chunks


def _warn(document: Document, text: str) -> None:
    said = [text[span.start : span.end][:SHOWN] for span in injections(text)]
    _log.warning("instructions_withheld", agent=document.agent, document=document.id, text=said)


def _sections(document: Document) -> Iterable[Section]:
    if document.media_type == MARKDOWN:
        return _tidy(sections(document.body))
    if document.media_type == PLAIN_TEXT:
        unwrapped = (_WRAPPED.sub(" ", part.strip()) for part in _PARAGRAPH.split(document.body))
        return [Section((), None, tuple(part for part in unwrapped if part))]
    if document.media_type == OPENAPI:
        return api_sections(document.body)
    raise ValueError(f"{document.id}: cannot cut documents of type {document.media_type}")


def _title_path(document: Document, section: Section) -> tuple[str, ...]:
    path = tuple(without_injections(heading) for heading in section.path)
    repeats = path and path[0].casefold() == document.title.casefold()
    return (without_injections(document.title), *(path[1:] if repeats else path))


def _url(document: Document, section: Section) -> str | None:
    """A section's own address if it has one, else its anchor in the document's."""
    if section.url or not document.url:
        return section.url or document.url
    if not section.anchor or "#" in document.url:
        return document.url
    return f"{document.url}#{section.anchor}"


# ---------------------------------------------------------------- sections of a few words


def _tidy(found: Sequence[Section]) -> Iterator[Section]:
    """Puts tiny sections together that stand next to each other below the same heading."""
    for parent, run in groupby(_carried(found), lambda section: section.path[:-1] if _tiny(section) else section):
        members = list(run)
        if len(members) == 1:
            yield members[0]
        else:
            path = parent if isinstance(parent, tuple) else members[0].path
            yield Section(path, members[0].anchor, tuple(block for section in members for block in _headed(section)))


def _carried(found: Sequence[Section]) -> Iterator[Section]:
    """Lets the few words above a first subsection go with it; a heading without anything below becomes text."""
    carried: tuple[str, ...] = ()
    for section, after in zip(found, [*found[1:], None], strict=False):
        section = replace(section, blocks=(*carried, *section.blocks))
        carried = ()
        if after is not None and after.path[:-1] == section.path and _tiny(section):
            carried = section.blocks
        else:
            yield section if section.blocks else replace(section, blocks=section.path[-1:])


def _headed(section: Section) -> tuple[str, ...]:
    """A section's blocks, its heading written in front of the first."""
    heading, first, rest = section.path[-1], section.blocks[0], section.blocks[1:]
    colon = "" if heading[-1:] in ".:?!" else ":"
    return (f"{heading}{colon}{chr(10) if chr(10) in first else ' '}{first}", *rest)


def _tiny(section: Section) -> bool:
    return bool(section.path) and sum(map(len, section.blocks)) < TINY_CHARACTERS


# ---------------------------------------------------------------- sections that are too long


def _cut(blocks: Sequence[str]) -> Iterator[str]:
    """Texts of at most MAX_CHARACTERS, and of about one size."""
    units = list(_units(blocks))
    left = sum(len(unit.before) + len(unit.text) for unit in units)
    text = ""
    for unit in units:
        pieces = -(-(left + len(text)) // MAX_CHARACTERS)
        grown = text + unit.before + unit.text if text else unit.text
        if text and (len(grown) > MAX_CHARACTERS or len(text) >= (left + len(text)) / pieces):
            yield text
            grown = unit.text
        text = grown
        left -= len(unit.before) + len(unit.text)
    if text:
        yield text


def _units(blocks: Sequence[str]) -> Iterator[_Unit]:
    """Blocks, or the lines of long ones, or the sentences of long lines."""
    for block in blocks:
        before = "\n\n"
        for line in [block] if len(block) <= LONG_CHARACTERS else block.split("\n"):
            for piece in [line] if len(line) <= LONG_CHARACTERS else _sentences(line):
                yield _Unit(before, piece)
                before = " "
            before = "\n"


def _sentences(line: str) -> Iterator[str]:
    """A line's sentences, its indentation kept, and those that are too long cut at white space."""
    indent = line[: len(line) - len(line.lstrip())]
    for span in sentences(line):
        words = line[span.start : span.end]
        while len(words) > MAX_CHARACTERS and (at := words.rfind(" ", 0, MAX_CHARACTERS)) > 0:
            yield indent + words[:at]
            words = words[at:].strip()
        yield indent + words
        indent = ""
