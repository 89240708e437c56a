"""Words that stand for something said before (`it`, `her`, `that plan`), and what they stand for.

A referent is chosen by salience: how recently and how often it was spoken of, by whom, and whether it can be what
the word asks for. See docs/decisions/0005 and 0040 for the choice of the weights.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

from domain.agents.mentions import AUXILIARIES, DETERMINERS, EMPTY, VERBS, Mention, reduced, words_of
from domain.model import Role
from domain.terms import FUNCTION_WORDS, stem

PERSON = frozenset({"he", "him", "his", "she", "her", "hers"})
_MANY = frozenset({"they", "them", "their", "theirs"})
_THING = frozenset({"it", "its"})
_POINTING = frozenset({"this", "that", "these", "those"})
_OWNING = frozenset({"his", "hers", "its", "their", "theirs"})
_BREAKS = words_of("and or but if when while because so before after once until since that which who then")
_ACTORS = words_of("i we you they to can could should")
_BODIES = words_of(
    """
    university college school academy institute band group orchestra team club league company corporation department
    office agency council committee association union party church museum theatre theater hospital court army records
    """,
    stem,
)
"""What a name that ends so is of: nobody whom `he` could mean."""
_SUBJECT = re.compile(r"(?:^|[.,;]\s+)(?P<name>[A-Z][\w-]+)\s+(?:[a-z]+ly\s+)?(?P<verb>[a-z]+)")
_WHO = re.compile(r"^(?:and |but |so )?who\b", re.IGNORECASE)
_COMPOUND = re.compile(r"-[a-z]")
_TOKEN = re.compile(r"[^\W_](?:[\w'’.-]*\w)?|[,;:?.()]")

DECAY = 0.75
"""How much less a mention weighs for each message that it lies further back."""
ANSWERED = 0.6
"""What an answer's mention weighs beside a question's."""
NAMED = 3.0
LOCATED = 0.4
PLURAL = 0.5
LEADING = 2.0
ASIDE = 0.3
"""What an answer mentions is less often `it` than what was asked about."""
BESIDE = 0.3
"""Who asks `did they record any albums?` goes on asking of them, not of albums."""
GENERIC = 0.4
"""`the movie` was said of something that had a better name before."""
SPELT_ALIKE = 0.8
"""Two names that are so much alike (Ratcliff and Obershelp's measure) are one, the second time spelt right."""
KNOWN_PERSON = 6.0
"""How much more a name weighs for `he` when it was `he` before."""

_IMPERSONAL = re.compile(
    r"\bit\s+(?:is|was|would be|will be)\s+(?:\w+\s+){0,2}?(?:to|that|if|when|whether)\b"
    r"|\b(?:is|was|would|will)\s+it\s+(?:be\s+)?(?:\w+\s+){1,2}?(?:to|that|if)\b|\bit\s+(?:takes?|costs?)\s+(?:\w+\s+)?to\b"
    r"|\b(?:time|date|day|hot|cold|late)\s+is\s+it\b"
    r"|\bit(?:['’]s| is| was)?\s+(?:possible|true|necessary|better|safe|legal|worth|ok|okay|required|time)\b",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"\b(?:do|doing|done)\s+(?:it|that|this|so)\b(?=\s*(?:[?.,!]|$|in\b|on\b|from\b|with\b|again\b|myself\b|later\b))|\bhow (?:long|much time)\b.*\b(?:it|that|this) takes?\b"
    r"|\bhow (?:long|much time) (?:does|did|do|will|would|can|should) (?:it|that|this) (?:usually |normally )?take\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Characters [start, end) of a question that stand for something else. `head` is the noun after `that`."""

    start: int
    end: int
    word: str
    head: str = ""
    owning: bool = False


def means_an_action(question: str) -> bool:
    """`How long does it take?`: `it` is what was done, not a thing."""
    return _ACTION.search(question) is not None


def gaps(question: str) -> list[Gap]:
    """The words of a question whose meaning lies outside it, in order."""
    found = []
    matches = list(_TOKEN.finditer(question))
    words = [match[0].casefold().replace("’", "'") for match in matches]
    impersonal = [match.span() for match in _IMPERSONAL.finditer(question)]
    for i, match in enumerate(matches):
        word = words[i].partition("'")[0]
        following = words[i + 1] if i + 1 < len(words) else ""
        before = [m[0] for m in matches[:i]]
        if word in PERSON and not _named_before(before):
            owning = word in _OWNING or (word == "her" and _is_content(following))
            found.append(Gap(match.start(), match.start() + len(word), word, owning=owning))
        elif word in _THING | _MANY and not _spoken_of_before(before):
            if not any(start <= match.start() < end for start, end in impersonal) or word != "it":
                found.append(Gap(match.start(), match.start() + len(word), word, owning=word in _OWNING))
        elif word in _POINTING and (gap := _pointing(matches, words, i)):
            found.append(gap)
    return found


def _pointing(matches: Sequence[re.Match[str]], words: Sequence[str], i: int) -> Gap | None:
    word, following = words[i], words[i + 1] if i + 1 < len(words) else "?"
    last = words[i - 1] if i else ""
    if _is_content(following) and (not last or not _is_content(last) or reduced(last) in VERBS):
        head = following
        return (
            Gap(matches[i].start(), matches[i + 1].end(), word, head=head)
            if reduced(head) not in VERBS
            else (Gap(matches[i].start(), matches[i].end(), word) if not last or not _is_content(last) else None)
        )
    acted = i > 1 and words[i - 2] in _ACTORS
    if not following[0].isalnum() and (not last or last in FUNCTION_WORDS or reduced(last) in VERBS or acted):
        return Gap(matches[i].start(), matches[i].end(), word)
    return None


def _is_content(word: str) -> bool:
    return word[:1].isalnum() and word.replace("'", "") not in FUNCTION_WORDS


def _named_before(before: Sequence[str]) -> bool:
    return any(word[:1].isupper() and word.casefold().split("'")[0] not in FUNCTION_WORDS for word in before[1:])


def _spoken_of_before(before: Sequence[str]) -> bool:
    """Whether an earlier clause of the question names something that the pronoun can stand for."""
    noun = False
    for i, word in enumerate(before):
        folded = word.casefold()
        if (folded in _BREAKS or not word[0].isalnum()) and noun:
            return True
        following = before[i + 1].casefold() if i + 1 < len(before) else "."
        if folded in DETERMINERS - _POINTING:
            noun |= _is_content(following)
        elif i and word[:1].isupper():
            noun |= _is_content(folded)
    return False


@dataclass(slots=True)
class Memory:
    """What was spoken of so far, oldest first, and the names that turned out to be people. `pointing` are the questions
    (by their lines) that pointed back, `filled` what that was found to be, `names` the words that are names, and `joined` the
    whole names of those who were called by one part of it and by the other."""

    told: list[Mention]
    people: set[str]
    pointing: set[int] = field(default_factory=set)
    filled: set[tuple[str, ...]] = field(default_factory=set)
    names: frozenset[str] = frozenset()
    joined: dict[str, Mention] = field(default_factory=dict)
    _by_head: defaultdict[str, list[Mention]] = field(default_factory=lambda: defaultdict(list))
    _sorted: int = 0
    """How many of `told`, which only grows, stand in `_by_head`."""

    def referent(self, gap: Gap, question: str) -> Mention | None:
        """What the gap stands for, written as fully as it ever was; None when nothing fits."""
        if gap.head:
            return self._with_head(gap.head, question)
        best = self._best(question, gap.word)
        if best is not None:
            self.filled.add(best.stems)
        if best is not None and gap.word in PERSON:
            self.people.update(best.stems)
        return best

    def topic(self, question: str) -> Mention | None:
        """What the conversation is about, for a question that names nothing."""
        return self._best(question, "")

    def fullest(self, mention: Mention, person: bool = False) -> Mention:
        """The longest name under which the same thing was mentioned: `Lake` → `Patricia Lake`, of a `person` also `Marie`
        → `Marie Curie`, and what an answer calls `plan` as the question called it."""
        asked = mention.role is Role.ASSISTANT and len(mention.words) == 1
        same = [
            m
            for m in (self.told if person else self._ending_in(mention.head))
            if ((m.named and mention.named) or (asked and m.role is Role.USER))
            and len(mention.words) <= len(m.words) <= 4
            and (_ends_with(m, mention) or (person and _begins_with(m, mention)))
            and not any(_COMPOUND.search(word) for word in m.words)
        ]
        fullest = max(reversed(same), key=lambda m: len(m.words), default=mention)
        if person or self.people & set(fullest.stems):
            return self.joined.get(fullest.text, fullest)
        return fullest

    def _ending_in(self, head: str) -> Sequence[Mention]:
        for mention in self.told[self._sorted :]:
            self._by_head[mention.head].append(mention)
        self._sorted = len(self.told)
        return self._by_head.get(head, ())

    def join(self, question: str, resolved: Sequence[Mention], answer: str) -> None:
        """`What did Marie study?`, `Curie studied physics.`: the answer calls whom the question is about by the other part
        of the name, or spells it otherwise. Not where a longer name is known, and not after `who …?` or `they`, which are
        of somebody else."""
        if _WHO.match(question) or any(gap.word in _MANY | _THING for gap in gaps(question)):
            return
        about = {m.text: m for m in resolved if m.named and not m.setting and not m.determiner and self._is_part(m)}
        if len(about) != 1:
            return
        [(called, asked)] = about.items()
        for found in _SUBJECT.finditer(answer):
            other = replace(asked, words=(found["name"],))
            if other.text != called and self._acts(found) and self._is_part(other):
                alike = SequenceMatcher(None, called.casefold(), other.text.casefold()).ratio()
                full = other if alike > SPELT_ALIKE else replace(asked, words=(called, other.text))
                self.joined[called] = self.joined[other.text] = full
                return

    def _is_part(self, mention: Mention) -> bool:
        """Whether it may be one part of a name of which the other is still unknown."""
        return len(mention.words) == 1 and mention.text not in self.joined and self.fullest(mention, True) == mention

    def _acts(self, subject: re.Match[str]) -> bool:
        """Whether the word before a verb is a name. Any word has a capital there."""
        name, verb = subject["name"], subject["verb"]
        if name.casefold() in FUNCTION_WORDS or reduced(name) in EMPTY:
            return False
        return verb.endswith("ed") or reduced(verb) in VERBS or (name in self.names and verb in AUXILIARIES)

    def answered(self) -> list[Mention]:
        """The names in the last answer, in order."""
        now = max((m.line for m in self.told), default=0)
        return [
            m
            for m in self.told
            if m.line == now
            and m.role is Role.ASSISTANT
            and m.named
            and not (m.leading and len(m.words) == 1 and not m.acting)
        ]

    def _with_head(self, head: str, question: str) -> Mention | None:
        known = set(map(reduced, _TOKEN.findall(question)))
        for role in (Role.USER, Role.ASSISTANT):
            for mention in reversed(self.told):
                if mention.role is role and mention.head == reduced(head) and set(mention.stems) - known:
                    return mention
        return None

    def _best(self, question: str, word: str) -> Mention | None:
        known = set(map(reduced, _TOKEN.findall(question)))
        now = max((m.line for m in self.told), default=0) + 1
        scores: dict[tuple[str, ...], float] = {}
        written: dict[tuple[str, ...], Mention] = {}
        for mention in self.told:
            full = self.fullest(mention, word in PERSON)
            if not set(full.stems) - known:
                continue
            weight = DECAY ** (now - mention.line) * (1.0 if mention.role is Role.USER else ANSWERED)
            weight *= self._fit(mention, full, word)
            if word and mention.line in self.pointing and full.stems not in self.filled:
                weight *= BESIDE
            if weight:
                scores[full.stems] = scores.get(full.stems, 0.0) + weight
                written[full.stems] = full
        return written[max(scores, key=lambda key: scores[key])] if scores else None

    def _fit(self, mention: Mention, full: Mention, word: str) -> float:
        """How well a mention can be what the word stands for, the topic when there is none; 0 when it cannot."""
        known = bool(set(full.stems) & self.people) or (word in PERSON and full in self.joined.values())
        weight = LOCATED if mention.located else 1.0
        if word in PERSON:
            if not _is_somebody(mention, full, known):
                return 0.0
            weight *= NAMED * (LEADING if mention.leading or mention.owner or mention.acting else 1.0)
            return weight * (KNOWN_PERSON if known else 1.0)
        if (word in _MANY or not word) and not (known or _is_spoken_of(mention, word)):
            return 0.0
        if word in _THING | _POINTING and known:
            return 0.0
        if mention.named and not (mention.leading and len(mention.words) == 1):
            weight *= NAMED
        if mention.determiner == "the" and len(full.words) == 1 and not mention.named:
            weight *= GENERIC
        if mention.role is Role.ASSISTANT and (word in _THING or not mention.named):
            weight *= ASIDE
        if not mention.named and ((word in _THING and mention.plural) or (word in _MANY and not mention.plural)):
            weight *= PLURAL
        return weight


def _is_somebody(mention: Mention, full: Mention, known: bool) -> bool:
    """Whether a mention can be of a person: a name that is no place, time or body, and in an answer one that does or owns
    something, since the names that an answer only gives (`In Warsaw.`) are what was asked for."""
    if not mention.named or mention.setting or mention.determiner in DETERMINERS or full.head in _BODIES:
        return False
    return known or mention.role is Role.USER or mention.acting or mention.owner


def _is_spoken_of(mention: Mention, word: str) -> bool:
    """Whether a mention can be what is spoken of: of an answer's names those that a sentence is about. Without a `word`
    to stand for, what has no name must be a thing: `the plan`, `invoices`."""
    if mention.named:
        about = mention.acting or mention.owner or (mention.leading and len(mention.words) > 1)
        return mention.role is Role.USER or about
    return bool(word or mention.determiner or mention.plural or len(mention.words) > 1)


def _ends_with(longer: Mention, shorter: Mention) -> bool:
    return longer.stems[-len(shorter.stems) :] == shorter.stems


def _begins_with(longer: Mention, shorter: Mention) -> bool:
    return len(longer.words) < 4 and longer.head not in _BODIES and longer.stems[: len(shorter.stems)] == shorter.stems
