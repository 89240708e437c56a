"""Terms and sentences: the one way that text is taken apart for retrieval, routing and answering.

A term is a case-folded word reduced to its English stem (Snowball's English stemmer), or a number, an amount of money
or a code. What is written as one but also read in parts gives both, so that either way of writing finds the other:

    sign-in            signin, sign, in          TG-R0502        tgr0502, tg, r0502
    rate_limited       rate_limited, rate, limit W-2             w2, 2
    X-RateLimit-Reset  xratelimitreset, rate, limit, reset
    $1,490.00          $1490, 1490               99.9 %          99.9
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from threading import Lock

import sentencex
import snowballstemmer

from domain.model import Span

VERSION = 1
"""Rises when the same text gives other terms: what was indexed by them has to be indexed again."""

_TOKEN = re.compile(
    r"""
    (?P<currency>[$€£¥])?(?P<number>\d+(?:,\d{3})+(?:\.\d+)?(?!\w)|\d+(?:\.\d+)+(?!\w)|(?<=[$€£¥])\d+(?!\w))
  | (?P<word>[^\W_]+(?:['_.-][^\W_]+)*)
    """,
    re.VERBOSE,
)
_ENDING = re.compile(r"'(?:s|d|ll|re|ve|m)$", re.IGNORECASE)
_JOINTS = re.compile(r"[_.-]")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LINE = re.compile(r"[^\n]+")
_BULLET = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)])\s+(?=\S)")
_CONTINUES = re.compile(r"""["'”’)\]]*(?:[a-z]+(?![\w/]|[.-]\w)|[,;:.!?)\]…–—&])""")
_CLOSED = re.compile(r"""[.!?:;…]["'”’)\]]*\s*$""")
_ADDRESS = re.compile(r"[(<\[]?(?:https?://|www\.)", re.IGNORECASE)
_ABBREVIATED = re.compile(r"\b(?:approx|ca|est|fig|max|min|nos?|pp?|sec|vol)\.$", re.IGNORECASE)

_FUNCTION_WORDS = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself he him his himself she her hers herself
it its itself they them their theirs themselves one ones someone somebody anyone anybody everyone something anything
am is are was were be been being isnt arent wasnt werent im ive youre youve theyre its thats whats
do does did doing done dont doesnt didnt have has had having havent hasnt hadnt
can could cant cannot couldnt will would wont wouldnt shall should shouldnt may might must mustnt
what which who whom whose when where why how whether
and or but nor so yet if then else than as because while though although
of in on at by to from for with without about into onto over under between through during before after above below
up down out off per via upon within
not no yes just also too very only even still again ever never there here some any all both each either neither such
same other another much many more most less least few own now
please thanks thank hello hi hey ok okay tell let lets mean means
"""
SHORT = 300
"""Characters of texts whose terms are remembered."""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say nothing of what a text is about, case-folded, without apostrophes."""

_stemmer = snowballstemmer.stemmer("english")
_stemming = Lock()  # the stemmer works on a buffer of its own, and searches run in threads


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The English stem of one case-folded word; anything with a digit in it is its own stem."""
    if len(word) < 3 or not word.isalpha():
        return word
    with _stemming:
        return str(_stemmer.stemWord(word))


def terms(text: str) -> list[str]:
    """Every term of `text`, in order, repetitions included."""
    return [term for term, _ in worded_terms(text)]


def content_terms(text: str) -> list[str]:
    """The terms that say what a text is about: without question words, articles, auxiliaries, pronouns and the like."""
    return [term for term, word in worded_terms(text) if word not in FUNCTION_WORDS]


def worded_terms(text: str) -> Sequence[tuple[str, str]]:
    """Every term of `text`, in order, with the case-folded word that it came from."""
    return _read_short(text) if len(text) <= SHORT else _read(text)


@lru_cache(maxsize=64)
def _read_short(text: str) -> Sequence[tuple[str, str]]:
    """A turn reads its question a dozen times, all within a moment."""
    return tuple(_read(text))


def _read(text: str) -> list[tuple[str, str]]:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    pairs: list[tuple[str, str]] = []
    for currency, number, word in _TOKEN.findall(text):
        if word:
            pairs += _read_word(word)
            continue
        number = number.replace(",", "").removesuffix(".00")
        if currency:
            pairs.append((currency + number, number))
        pairs.append((number, number))
    return pairs


def _read_word(written: str) -> tuple[tuple[str, str], ...]:
    """The terms of what looks like one word, each with the word that it is of."""
    return ((written, written),) if written.isdigit() else _read_letters(written)


@lru_cache(maxsize=20_000)
def _read_letters(written: str) -> tuple[tuple[str, str], ...]:
    if written.isalpha() and written.islower():
        return ((stem(written.casefold()), written.casefold()),)
    written = _ENDING.sub("", written).replace("'", "")
    parts = _JOINTS.split(written)
    if len(parts) > 1 or written[:1].islower():
        parts = [part for joined in parts for part in _HUMPS.split(joined)]
    whole = written.casefold() if "_" in written else _JOINTS.sub("", written).casefold()
    inside = [part.casefold() for part in parts if len(part) > 1 or part.isdigit()] if len(parts) > 1 else []
    return tuple((stem(word), word) for word in (whole, *inside))


def sentences(text: str) -> list[Span]:
    """The sentences of `text`, in order, without the white space around them: `text[span.start:span.end]` is one.

    A line of its own (an item of a list, a row of a table) is never joined to the next, unless the next goes on in the
    middle of a sentence. Boundaries come from the sentencex library; a piece that does not begin like a sentence is
    joined to the one before it.
    """
    spans: list[Span] = []
    for start, end in _lines(text):
        first = True
        for piece in _pieces(text, start, end):
            if spans and _goes_on(text, spans[-1], piece, first):
                spans[-1] = Span(spans[-1].start, piece.end)
            else:
                spans.append(piece)
            first = False
    return spans


def _goes_on(text: str, before: Span, piece: Span, new_line: bool) -> bool:
    """Whether a piece is no sentence of its own, but the rest of the one before it: of an image too, `![label](address)`.
    An address behind a whole sentence is no part of it."""
    closed = _CLOSED.search(text, before.start, before.end)
    if new_line and (closed or _BULLET.match(text, piece.start)):
        return False
    if closed and _ADDRESS.match(text, piece.start):
        return False
    if _CONTINUES.match(text, piece.start) or text[piece.start - 1 : piece.start + 1] == "![":
        return True
    abbreviated = _ABBREVIATED.search(text, before.start, before.end)
    return not new_line and text[piece.start].isdigit() and abbreviated is not None


def _lines(text: str) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(text):
        if not line[0].isspace():
            yield line.span()


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    """What sentencex makes of one line. A bullet or a number in front belongs to the item's first sentence."""
    bullet = _BULLET.match(text, start, end)
    body = bullet.end() if bullet else start
    at, left = body, start
    for boundary in sentencex.get_sentence_boundaries("en", text[body:end]):
        right = at + len(boundary["text"])
        piece = text[left:right]
        if not piece.isspace():
            yield Span(left + len(piece) - len(piece.lstrip()), left + len(piece.rstrip()))
        at = left = right
