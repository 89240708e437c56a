"""Whether a passage says what a sentence says, without a model: a measure of words."""

import re
from collections.abc import Callable

from domain.terms import content_terms, terms

Supports = Callable[[str, str], float]
"""How surely a passage (with its title) supports a sentence, in [0, 1]."""

SUPPORTED = 0.8
"""From here on a sentence counts as supported."""

_SPACE = re.compile(r"\s+")
_DIGIT = re.compile(r"\d")


def supports(sentence: str, passage: str) -> float:
    """1 for a sentence that stands in the passage word for word; else the part of its different content terms that do. 0
    when it has a number or a code that the passage has not: a figure is right or wrong."""
    if plain(sentence) in plain(passage):
        return 1.0
    said = set(content_terms(sentence))
    held = set(terms(passage))
    if not said or any(_DIGIT.search(term) for term in said - held):
        return 0.0
    return len(said & held) / len(said)


def plain(text: str) -> str:
    """Case-folded, with single spaces."""
    return _SPACE.sub(" ", text).strip().casefold()
