"""The sentences of a message that state something worth keeping, found by their form, without a language model.

Most telling is what people state of themselves and their situation (`we are a team of 12`, `our fiscal year ends in
June`), then whatever else they say of themselves, then other statements with a number or a name in them. Questions and
requests state nothing, but for what is said before the question (`I use the Studio plan, can I …?`).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from domain.terms import sentences

READ = 4_000
"""Characters of a message that are read."""
LONGEST = 240
"""Characters of a fact. Of a longer sentence the beginning is kept."""
STATED, OF_THEMSELVES, ASIDE = 3, 2, 1
"""How telling a fact is: a lasting statement of who says it; another one of them; one with a number or a name in it."""

_LEAD = (
    r"(?:(?:hi|hello|hey|ok|okay|yes|no|well|so|and|but|also|actually|anyway|btw|by the way|fyi|for context|note that"
    r"|(?:please )?(?:note|remember|keep in mind)(?: that)?|just so you know|to be clear|since|as|because)\b[\s,:–-]*)*"
)
_SELF = re.compile(rf"^{_LEAD}(?:i|we|my|our)\b|\b(?:of us|call me|my name)\b", re.IGNORECASE)
_LASTING = re.compile(
    rf"^{_LEAD}(?:my|our)\s+(?:[\w'’&/-]+\s+){{1,6}}?"
    r"(?:is|are|was|were|has|have|had|ends?|starts?|begins?|runs?|expires?|closes)\b"
    rf"|^{_LEAD}(?:i|we)(?:['’](?:m|re|ve)\b|\s+(?:(?:all|both|currently|now|only|usually|always|mostly|just)\s+)?(?:am|are"
    r"|were|(?:have|had)(?!\s+(?:\w+ly\s+)?(?:\w+ed|\w+en|been|done|made|tried|sent|paid|found|read|set|put)\b)|use|used|own|run|live|work|prefer|like|sell|manage|lead|bought|chose|picked|switched|moved|started"
    r"|joined|signed|plan|expect|employ|speak|teach|study|represent|belong|come|operate|host)\b)"
    r"|\bof us\b|\bcall me\b|\bmy name\b|^(?:please )?(?:remember|note|keep in mind)\b",
    re.IGNORECASE,
)
_NO_FACT = re.compile(
    rf"^{_LEAD}(?:i|we)(?:['’](?:d|m|re|ve)|\s+(?:would|do|am|are|have|had|was|were|also|just|still|only|really|can))*\s*"
    r"(?:(?:don['’]?t|not|cannot|can['’]?t)\s+)?(?:like to|love to|want(?:ed)? to (?:know|ask|see|understand|learn|find)"
    r"|need to (?:know|ask|see|understand|find)|(?:an?|one|another|some|more|any)\s+(?:\w+\s+){0,2}questions?"
    r"|understand|know|see|guess|think|thought|wonder(?:ing)?|mean|meant|hope|asking|ask|sorry|curious|confused|sure"
    r"|looking for|trying to|interested in)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"^{_LEAD}(?:what|which|who|whom|whose|when|where|why|how|is|are|am|was|were|do|does|did|can|could|should|would|will"
    r"|shall|may|might|must|has|have)\b",
    re.IGNORECASE,
)
_REQUESTS = re.compile(
    rf"^{_LEAD}(?:please\s+)?(?:tell|show|explain|give|list|compare|describe|help|find|write|summari[sz]e|translate|let"
    r"|make|repeat|shorten|continue|answer|say|stop|use|ignore|forget|remind|thanks?|thank you)\b",
    re.IGNORECASE,
)
_SUPPOSES = re.compile(rf"^{_LEAD}(?:if|when|once|unless|suppose|imagine|assuming)\b", re.IGNORECASE)
_TELLING = re.compile(r"\d|(?<=[\w,;] )[A-Z][\w-]+")
_CLAUSE = re.compile(r"[,;:–—]\s+|\s-\s")


@lru_cache(maxsize=2_000)
def facts(text: str) -> tuple[tuple[str, int], ...]:
    """What a user's message states, each with how telling it is, in order. Word for word, cut to LONGEST."""
    weighed = ((sentence, telling(sentence)) for sentence in _statements(text[:READ]))
    return tuple((shortened(sentence, LONGEST), weight) for sentence, weight in weighed if weight)


def telling(sentence: str) -> int:
    """0 for what is not worth keeping."""
    if _REQUESTS.match(sentence) and not _LASTING.search(sentence):
        return 0
    if _SUPPOSES.match(sentence) or not any(c.isalpha() for c in sentence):
        return 0
    number_or_name = bool(_TELLING.search(sentence))
    if _SELF.search(sentence) and not _NO_FACT.match(sentence):
        return STATED if _LASTING.search(sentence) else OF_THEMSELVES
    return ASIDE if number_or_name else 0


@lru_cache(maxsize=2_000)
def opening(text: str, longest: int) -> str:
    """The first sentence."""
    found = sentences(text[: 4 * longest])
    return shortened(text[found[0].start : found[0].end] if found else "", longest)


def shortened(text: str, longest: int) -> str:
    """One line of so many characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _statements(text: str) -> Iterator[str]:
    for span in sentences(text):
        sentence = text[span.start : span.end]
        if not sentence.endswith("?") and not _ASKS.match(sentence):
            yield sentence
            continue
        for clause in _CLAUSE.split(sentence)[:-1]:
            if _ASKS.match(clause):
                break
            if _SELF.match(clause):
                yield clause
