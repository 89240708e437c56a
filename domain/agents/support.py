"""How far a passage supports a statement, judged by words alone: the same for every model, and the same every time.

    support = (w(held) + TITLE_SHARE · w(held by the title alone)) / w(all),   in [0, 1]

over the statement's terms, for the few neighbouring sentences of the passage that hold most of them. A name or a code
weighs NAMED, any other term 1. Two things overrule the words, since a wrong one makes a statement false: a figure that
the passage does not have makes it 0, and where one of the two denies what the other says, and it is no quotation, it
counts DENIED of itself.

`evaluate` measures it: docs/evaluation.md has the figures, and the run that chose the constants.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from domain.agents.mentions import LIGHT
from domain.model import Span
from domain.terms import FUNCTION_WORDS, content_terms, sentences, stem, terms, worded_terms

SUPPORTED = 0.5
"""From here on a passage supports a statement."""
WINDOW = 3
"""Neighbouring sentences of a passage that may support one statement together."""
NAMED = 2.0
TITLE_SHARE = 0.8
DENIED = 0.4
SAME_MATTER = 0.5
"""The part of the statement that one sentence must hold for its denial to count."""
ABOUT = 0.8
"""What says this part of what another sentence says of the statement says about as much."""
SHORTER = 0.04
"""A wider window must hold so much more of the statement than a narrower one."""

_BULLET = re.compile(r"^\s*(?:[-*•–>#]+|\d{1,3}[.)])\s+")
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'’-]*")
_DENIALS = frozenset(
    stem(word)
    for word in ["not", "no", "never", "none", "neither", "nor", "without", "cannot", "nothing", "nobody", "unable"]
)
_DENIED = re.compile(r"n['’]t\b", re.IGNORECASE)
_NUMERALS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
_SPELLED = {stem(word): str(number) for number, word in enumerate(_NUMERALS.split())}


@dataclass(frozen=True, slots=True)
class Support:
    """By one passage, or by several together. `held` are the statement's terms that it says, none where it denies them;
    `span` are the characters of the passage's text where it does, None where it says nothing of it."""

    score: float
    held: frozenset[str] = frozenset()
    span: Span | None = None

    @property
    def enough(self) -> bool:
        return self.score >= SUPPORTED


NONE = Support(0.0)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sentence claims. One without `weights` claims nothing that words could show (`Yes, it does.`)."""

    weights: dict[str, float]
    figures: frozenset[str]
    denies: bool
    weight: float
    words: str

    @classmethod
    @lru_cache(maxsize=250)
    def of(cls, text: str) -> "Statement":
        text = _MARKUP.sub("", _BULLET.sub("", text))
        pairs = worded_terms(text)
        names = {term for name in _NAME.findall(text) for term in content_terms(name)}
        told = [term for term, word in pairs if word not in FUNCTION_WORDS and term not in LIGHT]
        figures = frozenset(term for term in told if term[-1].isdigit() or term[0] in "$€£¥")
        weights = {term: NAMED if term in names or _is_code(term) else 1.0 for term in told}
        said = [term for term, _ in pairs]
        return cls(weights, figures, _denies(text, said), sum(weights.values()), _in_a_row(said))

    @property
    def claims(self) -> bool:
        return bool(self.weights)

    def share(self, held: Collection[str]) -> float:
        """The part of its weight that these terms have, in [0, 1]."""
        return sum([weight for term, weight in self.weights.items() if term in held]) / self.weight


@dataclass(frozen=True, slots=True)
class _Sentence:
    span: Span
    terms: frozenset[str]
    denies: bool


@dataclass(frozen=True, slots=True)
class _Text:
    """A passage's: its sentences, the terms of all of them, and those in order, each between spaces: a quotation is
    part of that, wherever its sentences begin."""

    sentences: tuple[_Sentence, ...]
    terms: frozenset[str]
    words: str


def support(statement: Statement, text: str, title: str = "") -> Support:
    """By a passage with this text and title."""
    passage = _read(text)
    if statement.weights.keys().isdisjoint(passage.terms):
        return NONE
    titled = _terms(title)
    window = _best_window(statement, passage.sentences)
    inside = _said(window)
    beside = (titled - inside) & statement.weights.keys()
    score = statement.share(inside) + TITLE_SHARE * statement.share(beside)
    held = frozenset(statement.weights.keys() & (inside | titled))
    if statement.words not in passage.words and _contradicts(statement, passage.sentences, window):
        score, held = score * DENIED, frozenset()
    if not _figures(statement.figures, titled | passage.terms):
        score = 0.0
    return Support(score, held, Span(window[0].span.start, window[-1].span.end))


def together(statement: Statement, found: Sequence[Support]) -> Support:
    """By several passages: the best of them, or what they hold between them."""
    best = max(found, key=lambda one: one.score, default=NONE)
    held = frozenset[str]().union(*(one.held for one in found))
    if best.enough or not statement.weights or not _figures(statement.figures, held):
        return best
    return Support(max(best.score, statement.share(held)), held)


def _best_window(statement: Statement, read: Sequence[_Sentence]) -> Sequence[_Sentence]:
    """The neighbouring sentences that hold the most of it, as few as do."""
    asked = statement.weights.keys()
    held = [frozenset(asked & sentence.terms) for sentence in read]
    shares: dict[frozenset[str], float] = {}
    best, found = 0.0, read[:0]
    for width in range(1, WINDOW + 1):
        for start in range(len(read) - width + 1):
            if not held[start] or not held[start + width - 1]:  # a narrower one holds as much
                continue
            inside = held[start].union(*held[start + 1 : start + width])
            if (share := shares.get(inside)) is None:
                share = shares[inside] = statement.share(inside)
            if share > best + (SHORTER if width > 1 else 0.0):
                best, found = share, read[start : start + width]
        if best == 1:
            break
    return found


def _contradicts(statement: Statement, read: Sequence[_Sentence], window: Sequence[_Sentence]) -> bool:
    """Whether the sentence of the window that says the most of the same says the opposite, and no other of the passage
    that says about as much agrees."""
    nearest = max(window, key=lambda sentence: statement.share(sentence.terms))
    said = statement.share(nearest.terms)
    if said < SAME_MATTER or statement.denies == nearest.denies:
        return False
    return not any(one.denies == statement.denies and statement.share(one.terms) >= ABOUT * said for one in read)


def _said(window: Sequence[_Sentence]) -> frozenset[str]:
    return frozenset[str]().union(*(sentence.terms for sentence in window))


def _figures(asked: frozenset[str], known: frozenset[str]) -> bool:
    return all(figure in known or figure.lstrip("$€£¥") in known for figure in asked)


def _is_code(term: str) -> bool:
    return any(character.isdigit() for character in term)


def _denies(text: str, said: Sequence[str]) -> bool:
    return not _DENIALS.isdisjoint(said) or _DENIED.search(text) is not None


def _in_a_row(said: Sequence[str]) -> str:
    return f" {' '.join(said)} "


@lru_cache(maxsize=2_000)
def _terms(text: str) -> frozenset[str]:
    return frozenset(_with_figures(terms(text)))


def _with_figures(found: Sequence[str]) -> Iterator[str]:
    for term in found:
        yield term
        if term in _SPELLED:
            yield _SPELLED[term]


@lru_cache(maxsize=1_000)
def _read(text: str) -> _Text:
    found = []
    for span in sentences(text):
        said = terms(text[span.start : span.end])
        found.append(_Sentence(span, frozenset(_with_figures(said)), _denies(text[span.start : span.end], said)))
    return _Text(tuple(found), _said(found), _in_a_row(terms(text)))
