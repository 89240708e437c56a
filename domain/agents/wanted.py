"""The kind of thing that a question asks for, and sentences that hold one: an amount, a count, a span of time …"""

import re
from dataclasses import dataclass
from enum import StrEnum

from domain.agents.mentions import words_of
from domain.terms import content_terms, stem, terms


class Kind(StrEnum):
    """What would answer a question, by the form of its words."""

    MONEY = "money"
    COUNT = "count"
    DURATION = "duration"
    MOMENT = "moment"
    OPERATION = "operation"
    STEPS = "steps"
    CONTACT = "contact"
    PERSON = "person"
    ANY = "any"


_NUMBER = r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|twelve|unlimited|no)"
_UNIT = r"(?:second|minute|hour|(?:business |working )?day|week|month|quarter|year|night|ms|s|min|h)s?"
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_HOLDS = {
    Kind.MONEY: re.compile(
        r"[$€£¥]\s?\d|\b\d[\d,.]*\s?(?:dollars?|cents?|euros?|usd|eur|gbp|%)|\bfree\b|\bno (?:extra )?(?:charge|cost)\b|\bcosts? nothing\b",
        re.I,
    ),
    Kind.DURATION: re.compile(
        rf"\b{_NUMBER}[ -]?{_UNIT}\b|\bwithin\b.*\b{_UNIT}\b|\buntil\b|\bovernight\b|\bimmediately\b|\bat once\b", re.I
    ),
    Kind.MOMENT: re.compile(
        rf"\b\d{{1,2}} (?:{_MONTHS})\b|\b(?:{_MONTHS}) \d|\b(?:1[5-9]|20)\d\d\b|\b\d{{1,2}}:\d\d\b|\b{_NUMBER}[ -]?{_UNIT}\b|\bwhen\b|\bonce\b",
        re.I,
    ),
    Kind.OPERATION: re.compile(r"\b(?:GET|POST|PUT|PATCH|DELETE)\s+/\S+"),
    Kind.CONTACT: re.compile(r"\S+@\S+\.\w+|https?://\S+|\+?\d[\d ()-]{7,}\d"),
    Kind.PERSON: re.compile(
        r"(?<![.?!:] )(?<!^)\b(?-i:[A-Z][\w’'-]+ (?:[A-Z]\. )?[A-Z][\w’'-]+)|^(?-i:[A-Z][\w’'-]+ [A-Z][\w’'-]+)", re.I
    ),
    Kind.STEPS: re.compile(
        r"^\s*(?:\d+[.)]|[-*•])\s|→|\b(?:select|choose|open|click|enter|go to|press|tap|run|set)\b", re.I
    ),
}
_ASKS = (
    (Kind.COUNT, re.compile(r"\bhow many\b|\b(?:number|limit|maximum|minimum) (?:of|for|on)\b", re.I)),
    (
        Kind.DURATION,
        re.compile(r"\bhow (?:long|soon|quickly|fast|often)\b|\bfor how long\b|\b(?:expir|valid|time ?out)", re.I),
    ),
    (Kind.OPERATION, re.compile(r"\b(?:endpoint|operation|api call|request|method|route|path)\b", re.I)),
    (
        Kind.MONEY,
        re.compile(
            r"\bhow much\b|\b(?:cost|costs|price|prices|pricing|priced|fee|fees|charge|charges|charged|pay|cheap\w*|expensive|dollars?)\b",
            re.I,
        ),
    ),
    (
        Kind.STEPS,
        re.compile(
            r"\bhow (?:do|can|should|would|could) (?:i|we|you|one|people|someone)\b|\bhow to\b|\bsteps?\b|\bwhere (?:do|can) (?:i|we|you)\b",
            re.I,
        ),
    ),
    (Kind.MOMENT, re.compile(r"\bwhen\b|\bwhat (?:date|day|time|year)\b|\bdeadline\b|\bsince when\b", re.I)),
    (
        Kind.CONTACT,
        re.compile(
            r"\b(?:e-?mail|phone|call|contact|write to|reach)\b.*\b(?:address|number|you|support|team|sales|press)\b|\bphone number\b",
            re.I,
        ),
    ),
)
_COUNTED = re.compile(
    r"\bhow many\s+((?:[\w-]+\s+){0,2}?[\w-]+)(?=\s+(?:do|does|did|is|are|was|were|can|could|may|should|will|have|has|i|we|you|in|on|per|for|of|a|the|to)\b|[?.,]|$)",
    re.I,
)


_SPELLED = words_of("one two three four five six seven eight nine ten eleven twelve unlimited", stem)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question asks for. `counted` are the terms of the thing whose number is asked, `asking` those
    that only say what kind is asked for (`cost`)."""

    kind: Kind
    counted: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()

    @classmethod
    def by(cls, question: str) -> "Wanted":
        kind, found = next(
            ((kind, match) for kind, asks in _ASKS if (match := asks.search(question))), (Kind.ANY, None)
        )
        match = _COUNTED.search(question)
        counted = frozenset(content_terms(match[1])) if match else frozenset()
        return cls(kind, counted, frozenset(terms(found[0])) if found else frozenset())

    def held_by(self, sentence: str) -> float:
        """How surely a sentence holds one, in [0, 1]."""
        if self.kind is Kind.COUNT:
            return self._count_in(sentence)
        holds = _HOLDS.get(self.kind)
        return 1.0 if holds is not None and holds.search(sentence) else 0.0

    def _count_in(self, sentence: str) -> float:
        """A number next to the counted word is best; any number is a little."""
        words = terms(sentence)
        numbers = [i for i, word in enumerate(words) if word[0].isdigit() or word in _SPELLED]
        if not numbers:
            return 0.0
        near = any(words[j] in self.counted for i in numbers for j in range(max(0, i - 4), min(len(words), i + 4)))
        return 1.0 if near else 0.3
