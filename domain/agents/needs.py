"""One question that asks for several things, taken apart into what each part asks."""

import re

from domain.agents.mentions import mentions
from domain.agents.references import Memory, gaps
from domain.model import Role
from domain.terms import content_terms

MOST = 3
"""Needs of one question; what is beyond stays with the last."""

_END = re.compile(r"(?<=[?!])\s+|(?<=[^\W\d_]{2}[.;])\s+(?=\S)|(?<=[.?!][\"'”’])\s+|\n+")
_ASKS = (
    r"(?:what|which|how|when|where|who|why|whose|is|are|was|were|do|does|did|can|could|should|will|would|must|may)\b"
)
_JOIN = re.compile(
    rf"(?:[,;]\s*(?:(?:and|or|but)\s+)?(?:also\s+|then\s+)?|\s+and\s+(?:also\s+|then\s+)?)(?={_ASKS})", re.IGNORECASE
)
_CLAUSE = re.compile(
    r"^(?:if|once|after|before|while|as|because|since|unless|until|when(?! (?:do|does|did|is|are|was|were|will|can|should)\b))\b",
    re.IGNORECASE,
)

_UNKNOWN = re.compile(
    r"^(?:which|what)\s+(?!(?:is|are|was|were|do|does|did|can|could|will|would|should)\b)", re.IGNORECASE
)
"""`Which endpoint creates a return`: the endpoint is what is asked for, not what `it` stands for."""


def parts(question: str) -> list[str]:
    """The things that a question asks for, as words that stand alone beside each other; just the question when it
    asks for one. A part that points back (`it`) is given what the part before speaks of."""
    found: list[str] = []
    for sentence in filter(None, map(str.strip, _END.split(question))):
        pieces = _JOIN.split(sentence)
        for number, piece in enumerate(pieces):
            piece = piece.strip(" ,;")
            if piece.startswith("(") and found:
                found[-1] = f"{found[-1]} {piece}"
            elif number and found and (_CLAUSE.match(found[-1]) or not content_terms(piece)):
                found[-1] = f"{found[-1]} and {piece}"
            elif content_terms(piece):
                found.append(piece)
            elif found:
                found[-1] = f"{found[-1]} {piece}"
    if len(found) < 2:
        return [question]
    found = [*found[: MOST - 1], " ".join(found[MOST - 1 :])]
    return [
        part if not number else _filled(part, found[number - 1], question) for number, part in enumerate(found) if part
    ]


def _filled(part: str, before: str, question: str) -> str:
    spoken = mentions(before, 0, Role.USER)
    if len(spoken) > 1 and _UNKNOWN.match(before):
        spoken = spoken[1:]
    memory = Memory(spoken, set())
    open_gaps = [gap for gap in gaps(part) if not gap.head]
    if open_gaps and (match := _UNKNOWN.match(before)):
        relation = re.sub(r"^\S+\s*", "", before[match.end() :]).strip(" ?.")
        if set(content_terms(relation)) - set(content_terms(part)):
            part = f"{part.rstrip(' ?.')} ({relation})?"
    for gap in reversed(open_gaps):
        referent = memory.referent(gap, part)
        if referent is not None:
            owning = "'s" if gap.owning else ""
            part = f"{part[: gap.start]}{'' if referent.named else 'the '}{referent.text}{owning}{part[gap.end :]}"
    return part
