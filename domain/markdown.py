"""Markdown read as plain text: the sections of a document and, in each, blocks of lines without markup.

A row of a table becomes a sentence that carries the names of its columns, so that it can be understood alone:
`Plan Nano: Monthly price $9; Users 1; Support: E-mail, 2 business days.`
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from domain.terms import sentences

_ANCHOR = re.compile(r"\s*\{#([^\s{}]+)\}\s*$")
_NOT_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading, up to the next. `path` holds the headings from the outermost to its own (empty
    above the first); `anchor` is its heading's, `{#written-so}` or else made of its words (none for the document's own
    heading). A block is a paragraph,
    a list, a table or code, as lines. `url` is set where a section has an address other than its document's."""

    path: tuple[str, ...]
    anchor: str | None
    blocks: tuple[str, ...]
    url: str | None = None


def sections(body: str) -> list[Section]:
    """The sections of a Markdown document in order, those without text included."""
    found: list[Section] = []
    headings: list[tuple[int, str]] = []
    anchor: str | None = None
    blocks: list[str] = []
    slugs: Counter[str] = Counter()

    def close() -> None:
        if headings or blocks:
            found.append(Section(tuple(heading for _, heading in headings), anchor, tuple(blocks)))
        blocks.clear()

    for node in SyntaxTreeNode(_parser().parse(body)).children:
        if node.type != "heading":
            blocks.extend(_block(node))
            continue
        close()
        heading, anchor = _heading(node, slugs)
        level = int(node.tag[1])
        if level == 1 and not headings:
            anchor = None  # the document's own heading: its address is the document's
        while headings and headings[-1][0] >= level:
            headings.pop()
        headings.append((level, heading))
    close()
    return found


def first_heading(body: str) -> str | None:
    """The text of the first heading of level 1."""
    for node in SyntaxTreeNode(_parser().parse(body)).children:
        if node.type == "heading" and node.tag == "h1":
            return _heading(node, Counter())[0] or None
    return None


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])


def _heading(node: SyntaxTreeNode, slugs: Counter[str]) -> tuple[str, str]:
    text = _inline(node)
    if written := _ANCHOR.search(text):
        return text[: written.start()], written[1]
    slug = _NOT_SLUG.sub("", text.casefold()).strip().replace(" ", "-")
    slugs[slug] += 1
    return text, slug if slugs[slug] == 1 else f"{slug}-{slugs[slug] - 1}"


def _block(node: SyntaxTreeNode) -> Iterator[str]:
    """The block or blocks that a node makes, none of them empty."""
    if node.type in ("bullet_list", "ordered_list"):
        text = "\n".join(_list(node))
    elif node.type == "table":
        text = "\n".join(_table(node))
    elif node.type in ("fence", "code_block"):
        text = node.content.strip("\n")
    elif node.type == "html_block":
        text = _without_tags(node.content)
    elif node.type == "blockquote":
        for child in node.children:
            yield from _block(child)
        return
    else:
        text = _inline(node)
    if text.strip():
        yield text


def _list(node: SyntaxTreeNode) -> Iterator[str]:
    number = int(node.attrs.get("start", 1))
    for item in node.children:
        bullet = "- " if node.type == "bullet_list" else f"{number}. "
        number += 1
        lines = [line for child in item.children for block in _block(child) for line in block.split("\n")]
        yield from (bullet + line if place == 0 else "  " + line for place, line in enumerate(lines))


def _table(node: SyntaxTreeNode) -> Iterator[str]:
    rows = [[_inline(cell) for cell in row.children] for part in node.children for row in part.children]
    header, *body = rows
    if not body:
        yield "; ".join(name for name in header if name)
    for cells in body:
        yield _row(header, cells)


def _row(header: Sequence[str], cells: Sequence[str]) -> str:
    """One row as one sentence about the row's first cell."""
    fields = [_field(name.rstrip(" ?:"), _one_clause(cell)) for name, cell in zip(header, cells, strict=True)]
    subject, told = fields[0], "; ".join(field for field in fields[1:] if field)
    if name := header[0].rstrip(" ?:"):
        subject = subject.replace(f"{name}: ", f"{name} ", 1)
    dash = " —" if ": " in told.partition(";")[0] else ":"
    return (f"{subject}{dash} {told}" if subject and told else subject or told) + "."


def _field(name: str, value: str) -> str:
    """A column's name and its value; what is a number or an amount follows without a colon."""
    if not name or not value:
        return value
    return f"{name} {value}" if value[0].isdigit() or value[0] in "$€£" else f"{name}: {value}"


def _one_clause(cell: str) -> str:
    """A cell's text without sentence ends inside it, so that its row stays one sentence."""
    parts = [cell[span.start : span.end].rstrip(".") for span in sentences(cell)]
    return "; ".join(part for part in parts if part)


def _inline(node: SyntaxTreeNode) -> str:
    """The text of a node's inline content on one line."""
    tokens = [token for child in node.walk() if child.type == "inline" for token in _children(child)]
    return " ".join("".join(_written(token) for token in tokens).split())


def _children(inline: SyntaxTreeNode) -> list[Token]:
    return (inline.token.children if inline.token else None) or []


def _written(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type == "html_inline":
        return " " if token.content.lower().startswith("<br") else ""
    return token.content if token.type in ("text", "code_inline", "image", "text_special") else ""


class _Text(HTMLParser):
    """Collects the visible text of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("script", "style")
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _without_tags(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)
