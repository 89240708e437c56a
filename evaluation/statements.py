"""An answer taken apart: its sentences, and which sources each cites."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.agents.grounding import NOT_GROUNDED, PARTLY_GROUNDED
from domain.model import Span
from domain.terms import sentences

NOTES = (NOT_GROUNDED, PARTLY_GROUNDED)
"""What the desk adds to an answer by itself."""

_MARKERS = re.compile(r"(?:\s?\[\d{1,3}\])+")
_NUMBER = re.compile(r"\d+")
_NOTHING = re.compile(r"[\W_]*(?:\d{1,3}[.)])?[\W_]*")
"""No sentence: punctuation, or the number of a step that was torn off."""
_REFUSES = re.compile(
    r"\b(?:passages?|documents?|sources?|context|information)\b.{0,60}\b(?:do(?:es)? not|don['’]t|doesn['’]t|no)\b"
    r"|\b(?:can(?:no|['’])t|unable to|not able to|won['’]t|will not|do(?: not|n['’]t) (?:know|have))\b"
    r"|\b(?:not|nothing|no) (?:mentioned|stated|specified|provided|found|in the (?:documents|passages))\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer without its markers, where it stands, and the ordinals of the sources behind it."""

    text: str
    span: Span
    ordinals: tuple[int, ...]


def statements(answer: str) -> list[Statement]:
    """In order. A run of markers belongs to the last sentence that begins before it (docs/PROTOCOL.md)."""
    blank = _MARKERS.sub(lambda run: " " * len(run[0]), answer)
    found = [span.trimmed(blank) for span in sentences(blank)]
    cited: list[list[int]] = [[] for _ in found]
    for run in _MARKERS.finditer(answer):
        before = [place for place, span in enumerate(found) if span.start < run.start()]
        if before:
            cited[before[-1]] += map(int, _NUMBER.findall(run[0]))
    return [
        Statement(_MARKERS.sub("", answer[span.start : span.end]), span, tuple(dict.fromkeys(ordinals)))
        for span, ordinals in zip(found, cited, strict=True)
        if not _NOTHING.fullmatch(blank, span.start, span.end)
    ]


def pieces_of(answer: str) -> list[str]:
    """What stands between markers and blank lines."""
    return [piece.strip() for part in answer.split("\n\n") for piece in _MARKERS.split(part) if piece.strip()]


def is_the_desks_own(statement: Statement, phrases: Sequence[str]) -> bool:
    """Whether a sentence says nothing of the matter: one of the desk's `phrases` or NOTES, or a refusal in a model's own
    words."""
    said = statement.text.casefold()
    return any(phrase.casefold() in said for phrase in (*phrases, *NOTES)) or (
        not statement.ordinals and _REFUSES.search(statement.text) is not None
    )
