"""What an answer's text is made of, found while it grows: plain text, code, citation markers, and what a client could
act on (links, images, addresses, HTML).

Only so much of Markdown is read as decides what is what (CommonMark 0.31, and GitHub's autolinks). The texts of the
pieces, put together, are what was fed, however it was cut. What is not whole yet is held back, up to a bound; what turns
out to be nothing of the kind is plain text after all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_CODE = 400
"""Characters of code between backticks within a line of text. Longer code belongs into a block of its own."""
MAX_LABEL, MAX_ADDRESS = 300, 2_048
"""Characters of a link's text, and of where it leads."""
MAX_INFO = 100
"""Characters behind the fence that opens a block of code."""

_OPENING = re.compile(
    r"(?P<fence>^[ ]{0,3}(?:`+|~{3,}))|(?P<code>`+)|(?P<bracket>[ \t]*!?\[)|(?P<angle><)"
    r"|(?P<address>(?<!\w)(?:(?:https?|ftp)://|www\.))",
    re.IGNORECASE | re.MULTILINE,
)
_MAYBE = re.compile(
    r"(?:^[ ]{0,3}~{0,2}|[ \t]*!?|(?<!\w)(?:h(?:t(?:t(?:ps?)?)?)?|https?:/?|f(?:tp?)?|ftp:/?|w{1,3}))\Z",
    re.IGNORECASE | re.MULTILINE,
)
"""What the next character could make an opening of."""
_REMARKABLE = re.compile(r"[`\[<~]|://|www\.|(?:[ \t!]|\b(?:ht{0,2}|https?:?/?|f|ftp?:?/?|w{1,3}))\Z", re.IGNORECASE)
"""Text without it is plain, where nothing is held back."""

_NUMBERS = r"\[[ ]?\d{1,3}(?:[ ]?,[ ]?\d{1,3})*[ ]?\]"
_MARKERS = re.compile(rf"[ \t]*{_NUMBERS}(?:[ \t]*{_NUMBERS})*(?!\()")
_MORE_MARKERS = re.compile(r"[ \t]*(?:\[[ ]?(?:\d{1,3}[ ]?(?:,[ ]?\d{0,3}[ ]?){0,40})?)?\Z")
_LABEL = r"(?:[^\]\[\n]|\[[^\]\[\n]*\]){0,300}"
_LINK = re.compile(rf"[ \t]*(?P<image>!?)\[(?P<label>{_LABEL})\]\((?P<address>[^()\n]*(?:\([^()\n]*\)[^()\n]*)*)\)")
_DEFINITION = re.compile(r"^[ ]{0,3}\[(?P<label>[^\]\[\n]+)\]:[ \t]*(?P<address>\S+)(?=\s)", re.MULTILINE)
_UNFINISHED_LINK = re.compile(rf"[ \t]*!?(?:\[{_LABEL}(?:\[[^\]\[\n]*)?(?:\](?:\([^\n]{{0,2048}}|:[ \t]*\S*)?)?)?\Z")
_AUTOLINK = re.compile(r"<(?P<address>[a-z][a-z0-9+.-]{1,31}:[^\s<>]*)>", re.IGNORECASE)
_TAG = re.compile(r"<!--.*?-->|<(?!!--)[!?/a-z][^<>]*>", re.IGNORECASE | re.DOTALL)
_UNFINISHED_TAG = re.compile(
    r"<(?:(?!!--)[!?/a-z][^<>]{0,2048})?\Z|<!-{0,2}\Z|<!--.{0,2048}\Z", re.IGNORECASE | re.DOTALL
)
_PLACEHOLDER = re.compile(
    r"<(?!(?:audio|base|body|button|embed|form|frame|head|html|iframe|img|input|link|math|meta|object|script"
    r"|source|style|svg|title|video|a|p|b|i)>)[a-z][a-z0-9_ -]*>",
    re.IGNORECASE,
)
"""`<TOKEN>` or `<your key>`, which no browser knows as an element: it is something to fill in."""
_BACKTICKS = re.compile(r"`+")
_CITING = re.compile(rf"(?:[.!?…]['\"”’)]*|'')[ \t]+{_NUMBERS}(?![(\w])")
"""A marker behind the end of a sentence or a quotation: never in code, but between the marks of TeX's ``quotations''."""
_URL = re.compile(r"(?:https?://|ftp://|www\.)[^\s<>\"`\]]+", re.IGNORECASE)
_BEHIND = re.compile(r"[.,;:!?'\"*_~]+\Z")
_SCHEMES = ("http://", "https://", "ftp://", "www.")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer, as it was written."""

    text: str


class Plain(Piece):
    """What says no more than it shows."""

    __slots__ = ()


class Code(Piece):
    """A piece of code, with the backticks or the fence that mark it."""

    __slots__ = ()


class Tag(Piece):
    """An element of HTML, or a comment."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Markers(Piece):
    """Citation markers that stand together, with the space before them: `[1][2, 3]`."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Link(Piece):
    """`[label](address)`, the same as an `image`, or a bare address, whose label is empty."""

    label: str
    address: str
    image: bool = False


class MarkupReader:
    """Reads one text."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        """Where the part begins that is held back; what stands before tells whether it begins a line or a word."""
        self._fence: re.Pattern[str] | None = None
        """The line that ends the block of code that is being read."""

    def feed(self, text: str) -> Sequence[Piece]:
        """The pieces that are certain now."""
        if not text:
            return ()
        if self._at == len(self._text) and self._fence is None and not _REMARKABLE.search(text):
            self._text, self._at = text[-1], 1
            return (Plain(text),)
        self._text += text
        return list(self._read(final=False))

    def end(self) -> Sequence[Piece]:
        """What was held back: nothing more will come."""
        return list(self._read(final=True))

    def _read(self, final: bool) -> Iterator[Piece]:
        while self._at < len(self._text):
            piece = self._code_line(self._fence, final) if self._fence else self._next(final)
            if piece is None:
                return
            self._at += len(piece.text)
            self._text, self._at = self._text[self._at - 1 :], 1
            yield piece

    def _next(self, final: bool) -> Piece | None:
        """The next piece; None while it is uncertain."""
        text, at = self._text, self._at
        opening = _OPENING.search(text, at)
        maybe = None if opening or final else _MAYBE.search(text, at)
        start = opening.start() if opening else maybe.start() if maybe else len(text)
        if start > at:
            return Plain(text[at:start])
        if opening is None:
            return None
        match opening.lastgroup:
            case "fence":
                return self._block(opening, final)
            case "code":
                return _inline_code(text, opening, final)
            case "bracket":
                return _bracket(text, opening, final)
            case "angle":
                return _angle(text, at, final)
            case _:
                return _address(text, at, final)

    def _block(self, opening: re.Match[str], final: bool) -> Piece | None:
        """The line that opens a block of code."""
        text, fence = self._text, opening[0].strip()
        if opening.end() == len(text) and not final:
            return None
        if len(fence) < 3:
            return _inline_code(text, opening, final)
        end = text.find("\n", opening.end(), opening.end() + MAX_INFO)
        info = text[opening.end() : end if end >= 0 else opening.end() + MAX_INFO]
        if "`" in info and fence[0] == "`":
            return _inline_code(text, opening, final)
        if end < 0 and len(info) < MAX_INFO and not final:
            return None
        self._fence = re.compile(rf"[ ]{{0,3}}{re.escape(fence)}{re.escape(fence[0])}*[ \t]*(?:\n|\Z)")
        return Code(text[opening.start() : end + 1 if end >= 0 else opening.end() + len(info)])

    def _code_line(self, fence: re.Pattern[str], final: bool) -> Piece | None:
        """A line of a block of code, or a part of it. The line that ends the block is read as a whole."""
        text, at = self._text, self._at
        end = text.find("\n", at)
        line = text[at : end + 1] if end >= 0 else text[at:]
        if at == 0 or text[at - 1] == "\n":
            if end < 0 and not final and not line.strip(" `~\t"):
                return None
            if fence.fullmatch(line):
                self._fence = None
        return Code(line)


def _inline_code(text: str, opening: re.Match[str], final: bool) -> Piece | None:
    """Code ends with as many backticks as it begins with, in the same paragraph, and nothing is cited in it. Otherwise they
    mark nothing."""
    if opening[0].startswith(" "):
        return Plain(opening[0][: -len(opening[0].lstrip())])
    run = _BACKTICKS.match(text, opening.start())
    if run is None:
        return Plain(opening[0])
    if run.end() == len(text) and not final:
        return None
    for closing in _BACKTICKS.finditer(text, run.end(), run.end() + MAX_CODE):
        end = closing.end()
        if end == len(text) and not final:
            return None
        inside = text[run.end() : closing.start()]
        if len(closing[0]) == len(run[0]) and "\n\n" not in inside:
            return (
                Plain(text[opening.start() : run.end()])
                if _CITING.search(inside)
                else Code(text[opening.start() : end])
            )
    uncertain = len(text) - run.end() < MAX_CODE and "\n\n" not in text[run.end() :]
    return None if uncertain and not final else Plain(text[opening.start() : run.end()])


def _bracket(text: str, opening: re.Match[str], final: bool) -> Piece | None:
    at = opening.start()
    if found := _MARKERS.match(text, at):
        if not final and _MORE_MARKERS.match(text, found.end()):
            return None
        return Markers(found[0], tuple(int(digits) for digits in re.findall(r"\d+", found[0])))
    if found := _LINK.match(text, at):
        return Link(found[0], found["label"], found["address"], image=bool(found["image"]))
    if found := _DEFINITION.match(text, at):
        return Link(found[0], found["label"], found["address"])
    if not final and _UNFINISHED_LINK.match(text, at):
        return None
    return Plain(opening[0])


def _angle(text: str, at: int, final: bool) -> Piece | None:
    if found := _AUTOLINK.match(text, at):
        return Link(found[0], "", found["address"])
    if found := _PLACEHOLDER.match(text, at):
        return Plain(found[0])
    if found := _TAG.match(text, at):
        return Tag(found[0])
    return None if not final and _UNFINISHED_TAG.match(text, at) else Plain("<")


def _address(text: str, at: int, final: bool) -> Piece | None:
    found = _URL.match(text, at)
    if found is None:
        return None if not final and text[at:].strip().lower() in _SCHEMES else Plain(text[at : at + 4])
    if found.end() == len(text) and len(found[0]) < MAX_ADDRESS and not final:
        return None
    address = _BEHIND.sub("", found[0])
    while address.endswith(")") and address.count("(") < address.count(")"):
        address = _BEHIND.sub("", address[:-1])
    return Plain(address) if address.lower() in _SCHEMES else Link(address, "", address)
