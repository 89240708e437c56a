"""Answers what asks for the user's own words: `What is my team size?`, `Which plan did I say I use?`

It quotes what they said, and when. A question for the documents must not end here, so it takes both: the form of a
question about oneself or about what was said, and words of the user's that hold all (where it is asked outright what was
said: half) of what the question names, and the number, the day or the name that it asks for.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from langgraph.runtime import Runtime

from domain.agents.citations import CitationWriter
from domain.agents.facts import OF_THEMSELVES
from domain.agents.mentions import LIGHT, Mention, is_name, mentions, words_of
from domain.agents.notes import Fact, Notes
from domain.agents.prompts import Numbered
from domain.agents.state import Conversation, Draft, Routing, TurnContext, TurnState
from domain.model import Role, Usage
from domain.terms import content_terms, stem, terms

LONGEST = 200
"""Characters of a question that can ask for this."""
MOST = 3
"""Statements that are quoted at most, of those that were asked for outright."""
FROM_THE_CHAT = "That is from our conversation, not from the documents."

_LEAD = r"^(?:(?:hi|hello|hey|ok|okay|and|so|but|also|now|please|by the way)[\s,]+)*"
_WHICH = r"(?:what(?:['’]s)?|which|who|whom|when|where|how (?:many|much|big|large|old|long))"
_SAY = (
    r"(?:say|said|tell|told|mention|mentioned|write|wrote|written|state|stated|describe|described|give|given|call|called"
    r"|name|named)"
)
_YOU = (
    r"(?:(?:do|can|could|would|will)\s+you\s+(?:please\s+|still\s+)?(?:know|tell\s+me|remember|recall|remind\s+me(?:\s+of)?)"
    r"\s+)?"
)
_SAID = re.compile(
    rf"{_LEAD}{_YOU}(?:"
    rf"{_WHICH}\b[^.?!]*\b(?:did|have|had|do)\s+(?:i|we)\s+(?:(?:just|already|ever|once)\s+)?{_SAY}\b"
    rf"|{_WHICH}(?:['’]s)?\b[^.?!]*\b(?:i|we)\s+(?:(?:just|already|once)\s+)?(?:said|told|mentioned|wrote|stated)\b"
    rf"|(?:did|have|had)\s+(?:i|we)\s+(?:(?:just|already|ever|once)\s+)?{_SAY}\b"
    r")[^.?!]*[.?!]*$",
    re.IGNORECASE,
)
_OURS = re.compile(
    rf"{_LEAD}{_YOU}(?:"
    r"(?:what|who|which|when|where)(?:['’]s|['’]re|\s+(?:is|are|was|were))\s+(?:my|our)\b"
    r"|(?:what|who|which|when|where)\s+(?:my|our)\s+(?:[\w'’-]+\s+){1,4}(?:is|are|was|were)$"
    r"|how\s+(?:big|large|old|long|many\s+\w+)(?:\s+(?:is|are|was|were))?(?:\s+(?:there|in|on))*\s+(?:my|our)\b"
    r"|how\s+many\s+(?:of\s+us\s+are\s+there|[\w-]+\s+(?:are\s+we|do\s+(?:i|we)\s+have(?!\s+to\b)))"
    r"|(?:what|which)\s+(?:[\w-]+\s+){1,3}(?:(?:am|are)\s+(?:i|we)\s+(?:on|in|at)"
    r"|do\s+(?:i|we)\s+(?:use|have(?!\s+to\b)|own|run|prefer|work|live))\b"
    r"|where\s+(?:do|am|are)\s+(?:i|we)\s+(?:live|work|based|located)\b"
    r"|when\s+(?:do|does|did)\s+(?:my|our)\b"
    r"|who\s+am\s+i\b"
    r"|(?:(?:do|can|could)\s+you\s+(?:still\s+)?(?:know|remember|recall)|remind\s+me(?:\s+of)?)\s+(?:my|our)\b"
    r")[^.?!,;]*[.?!]*$",
    re.IGNORECASE,
)
_SUPPOSES = re.compile(rf"\b(?:if|when|once|after|before)\s+(?:i|we)\s+{_SAY}\b", re.IGNORECASE)
_NAMED = ((re.compile(r"\bwho am i\b", re.IGNORECASE), "name"), (re.compile(r"\bof us\b", re.IGNORECASE), "us"))
"""What is asked for without a word that tells it."""
_NOT_TELLING = words_of(
    "did say said tell told mention mentioned write wrote written state stated describe described", stem
) | (words_of("give given call called remember recall remind know conversation chat earlier early before", stem))
_OF_DOCUMENTS = words_of("price pricing cost fee charge limit quota allowance maximum minimum included", stem)
"""What documents tell of somebody's plan, and the user only asks about."""
_MONTH = r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tomorrow|yesterday|week|month|quarter|year|spring|summer|autumn|fall|winter"
_WHEN = re.compile(rf"\d|\b(?:{_MONTH}|{_DAY})s?\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?)\b",
    re.IGNORECASE,
)
_WANTS = (
    (
        re.compile(rf"{_LEAD}how (?:many|much|big|large|old|long)\b|\b(?:size|headcount|budget)\b", re.IGNORECASE),
        _NUMBER,
    ),
    (re.compile(rf"{_LEAD}when\b", re.IGNORECASE), _WHEN),
)
_MEANT = (
    (
        re.compile(
            r"\b(?:team|group|company|staff|firm) of \S+|\b\S+ of us\b"
            r"|\b(?:\d+|[a-z]+)[ -](?:people|persons?|employees|members|developers|engineers|colleagues|agents)\b",
            re.IGNORECASE,
        ),
        words_of("team size people person member employee big large us headcount company group", stem),
    ),
    (re.compile(r"\bcall me\b|\b(?:i am|i['’]m) (?-i:[A-Z])", re.IGNORECASE), words_of("name called", stem)),
    (
        re.compile(r"\b(?:live|based|located|come from|am from|are from)\b", re.IGNORECASE),
        words_of("live based located", stem),
    ),
    (
        re.compile(r"\bi (?:work|am employed) (?:as|for|at|in)\b|\b(?:i am|i['’]m) an? (?-i:[a-z])", re.IGNORECASE),
        words_of("job work role profession occupation", stem),
    ),
)
"""What is also said by words of such a form."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question names, and whether it asks outright for what was said."""

    named: frozenset[str]
    outright: bool
    text: str

    @classmethod
    def by(cls, question: str) -> "_Asked | None":
        text = question.strip()
        if len(text) > LONGEST:
            return None
        outright = bool(_SAID.match(text)) and not _SUPPOSES.search(text)
        if not outright and not _OURS.match(text):
            return None
        named = frozenset(content_terms(text)) - _NOT_TELLING
        named = named - LIGHT or named
        named |= {word for form, word in _NAMED if form.search(text)}
        if not outright and (not named or named & _OF_DOCUMENTS):
            return None
        return cls(named, outright, text)

    def held_by(self, fact: Fact) -> float:
        """The part of what is named that the fact holds; 0 where it cannot be what is asked for."""
        if not self.outright and fact.weight < OF_THEMSELVES:
            return 0.0
        if any(wants.search(self.text) and not holds.search(fact.text) for wants, holds in _WANTS):
            return 0.0
        if not self.named:
            return 1.0
        said = set(terms(fact.text))
        for form, meant in _MEANT:
            if form.search(fact.text):
                said |= meant
        share = len(self.named & said) / len(self.named)
        return share if share >= (0.5 if self.outright else 1.0) else 0.0


def asks_what_was_said(question: str) -> bool:
    """By its form alone."""
    return _Asked.by(question) is not None


def recollected(question: str, notes: Notes) -> Sequence[Fact]:
    """What the user said that the question asks for, the newest first: one statement, or some if it is asked outright
    what was said. Empty when they said nothing of it, and when it asks for something else."""
    asked = _Asked.by(question)
    if asked is None:
        return ()
    held = [(asked.held_by(fact), place, fact) for place, fact in enumerate(notes.facts)]
    most = max((share for share, _, _ in held), default=0.0)
    found = [fact for share, _, fact in reversed(held) if share == most > 0]
    if not asked.outright:
        found.sort(key=lambda fact: -fact.weight)
    return found[: MOST if asked.outright else 1]


async def recollect(state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
    """Node `recollect`."""
    context, question = runtime.context, runtime.context.question.text
    facts = recollected(question, state["conversation"].known)
    if not facts:
        return {}
    context.recorder.route_chosen((), question)
    writer = CitationWriter(Numbered(()), context.answer.id, context.recorder)
    writer.feed(told(facts))
    writer.end()
    routing = Routing((), ())
    return {"standalone_question": question, "routing": routing, "draft": Draft(writer.text, (), Usage(0, 0))}


def meant_by(question: str, conversation: Conversation) -> str | None:
    """What the question's `my plan` is, by what the user said of theirs before the window (`the Studio plan`); None where
    the window speaks of it, or nobody does."""
    if not conversation.notes.facts:
        return None
    owned = [it for it in mentions(question, 0, Role.USER) if it.determiner in ("my", "our") and len(it.words) == 1]
    if not owned:
        return None
    spoken = {it.head for asked in conversation.questions for it in _named(asked)}
    for mention in owned:
        if mention.head in spoken:
            continue
        for fact in reversed(conversation.notes.facts):
            if fact.weight >= OF_THEMSELVES:
                for it in _named(fact.text):
                    if it.head == mention.head:
                        return it.text
    return None


def _named(text: str) -> list[Mention]:
    return [it for it in mentions(text, 0, Role.USER) if len(it.words) > 1 and any(map(is_name, it.words))]


def told(facts: Iterable[Fact]) -> str:
    """Quoted, the newest first, each with its time."""
    quotes = [f"{_when(fact.said_at)}you wrote: “{fact.text}”" for fact in facts]
    quotes = [f"{quote[:1].upper()}{quote[1:]}" for quote in quotes]
    said = quotes[0] if len(quotes) == 1 else "\n".join(f"- {quote}" for quote in quotes)
    return f"{said}\n\n{FROM_THE_CHAT}"


def _when(said_at: datetime | None) -> str:
    if said_at is None:
        return "earlier in this chat "
    at = said_at.astimezone(UTC)
    return f"earlier in this chat, on {at.day} {at:%B %Y} at {at:%H:%M} UTC, "
