"""Instructions to the assistant inside documents: sentences that try to make whoever reads them do something.

A document speaks to its readers; what speaks to the machine that reads it for them does not belong there. Such a
sentence gives itself away by what it is made of, so each sign has a weight, and a sentence is suspicious from SUSPICIOUS
on. One sign alone is mostly not enough: guides say `ignore the warning`, an API's reference says `returns only`.

After the kinds of attacks that Greshake et al. (Not what you've signed up for, 2023) and Yi et al. (BIPIA, 2023) describe;
`answerdesk evaluate safety` measures it, also how often it is wrong on documents without attacks.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from domain.model import Span
from domain.terms import sentences

WITHHELD = "⟦…⟧"
"""Stands for what was left out. No search finds it."""
SUSPICIOUS = 1.0
BESIDE = 0.4
"""From here on, beside a suspicious sentence."""

_WORDS = {
    "TOLD": """(?:instructions?|prompts?|rules|guidelines|directives|context|conversation|content|data|text|info(?:rmation)?
        |documents?|passages?|snippets?|messages?|everything|anything|all)""",
    "WHICH": r"""(?:(?:all|any|the|these|those|this|that|your|my|others?|of|previous|prior|earlier|above|preceding|following
        |rest|remaining|system|existing|original|initial)\s+)*""",
    "SAY": """(?:print|output|say|repeat|reply|respond|answer|report|echo|recite|return|write|type|state|provide|show
        |display|reveal|disclose|send|tell)""",
    "MACHINE": "(?:system|assistant|ai|developer)",
}
_SIGNS = """
# a turn of a conversation, or the frame of one, in the middle of a document
0.6  ^\\W{0,4}§MACHINE\\s*:(?=\\s|$)
0.5  ^\\W{0,4}(?-i:SYSTEM|ASSISTANT|AI|DEVELOPER)\\s*:(?=\\s|$)
1.0  ^\\W{0,4}§MACHINE\\s+(?:message|prompt|note|override|instructions?)\\s*:(?=\\s|$)
0.7  ^\\W{0,4}(?:user|human)\\s*:(?=\\s|$)
1.0  <\\|?\\s*/?(?:system|assistant|user|im_start|im_end|end\\s?of\\s?(?:text|session|prompt|turn)|inst)\\s*\\|?>
1.0  \\[/?(?:inst|sys|system|assistant)\\]|<</?sys>>|^\\#{2,}\\s*(?:system|instructions?|assistant)\\b
0.7  [<\\[](?:detailed\\s+|salient\\s+|brief\\s+)?(?:summary|answer|response|reply)\\b[^>\\]\\n]{0,60}[>\\]]

# setting aside what the assistant was told or given
1.0  \\b(?:ignore|disregard|forget|overr[iu][dl]e|bypass|discard|neglect|skip|drop)\\s+(?:about\\s+)?§WHICH §TOLD\\b(?!\\s+(?:field|parameter|propert|column|header|key))
0.6  \\b(?:do\\ not|don['’]t|stop)\\s+(?:follow|obey|listen\\ to|use)\\w*\\s+(?:the|your|any|these|previous|prior)\\b
0.5  \\b(?:new|updated|real|actual|secret|hidden)\\s+(?:instructions?|task|orders?|objective|directive)\\b

# telling it what to say, and nothing else
0.5  \\b§SAY\\b[^.\\n]{0,40}\\b(?:only|just|exactly|verbatim|nothing\\ else|word\\ for\\ word|precisely)\\b
0.5  \\b(?:only|just|instead|simply|please)\\s+§SAY\\b
0.4  \\b§SAY\\s+(?:only\\s+|just\\s+|back\\s+|the\\s+following\\s+|exactly\\s+|with\\s+)*["'“<«]
0.6  \\bnothing\\s+(?:else|more)\\b|\\bno\\s+other\\s+(?:text|words|output|information)\\b
0.6  \\b(?:focus|concentrate)\\s+(?:only|exclusively|solely|instead)\\b|\\binstead\\s+focus\\b
0.6  \\bbetween\\s+the\\s+\\S{1,3}\\s+brackets|\\bin\\s+(?:the\\s+)?angled?\\b[^.\\n]{0,10}\\bbrackets
0.6  \\b(?:could|can|would|will)\\s+you\\s+(?:please\\s+)?(?:§SAY|summari[sz]e|translate)\\b
0.6  \\breport\\s+only\\s*:
0.6  \\b(?:all|the\\s+only|the\\s+real)\\s+(?:content|text|information|answer)\\s+(?:here\\s+)?is\\b
1.0  \\b(?:modify|adjust|change|alter|begin|start|end|finish|conclude|replace)\\s+your\\s+(?:answer|reply|response|output)\\b
0.5  \\b(?:in|for)\\s+your\\s+(?:answer|reply|response|summary|output)\\b|\\bbefore\\s+(?:you\\s+)?answer(?:ing)?\\b

# speaking of the user to somebody else
0.6  \\b(?:if|when(?:ever)?|once)\\s+(?:the\\s+|a\\s+)?(?:user|human|reader|person|someone|anyone)\\s+asks?\\b
0.6  \\b(?:§SAY|give|ask|inform|convince|persuade|urge|instruct)\\s+(?:\\w+\\s+){0,6}?(?:to\\s+)?the\\s+(?:user|human)\\b

# what only a language model has, or is
0.7  \\b(?:system|hidden|initial|original)\\s+prompt\\b|\\byour\\s+(?:instructions|prompt|guidelines|programming|training|configuration)\\b
0.6  \\b(?:as|you\\s+are|act\\s+as|pretend\\s+to\\s+be|you['’]re)\\s+(?:now\\s+)?(?:an?\\s+)?(?:ai|language\\s+model|llm|chat\\s?bot|assistant|chatgpt|gpt|dan|jailbroken|unrestricted)\\b
0.6  \\bfrom\\s+now\\s+on\\b[^.\\n]{0,20}\\byou\\b

# pressing, and drawing lines
0.4  \\b(?:it|this)\\s+is\\s+(?:very\\s+|extremely\\s+)?(?:critical|important|urgent|vital)\\s+(?:to|for)\\s+my\\b
0.3  \\*{3,}|-{8,}|={8,}
"""
"""A weight and a pattern each."""


def _compiled(signs: str) -> Iterator[tuple[float, re.Pattern[str]]]:
    for line in signs.splitlines():
        weight, _, pattern = line.partition("  ")
        if weight and not weight.startswith("#"):
            for name, words in _WORDS.items():
                pattern = pattern.replace(f"§{name}", words)
            yield float(weight), re.compile(pattern, re.IGNORECASE | re.MULTILINE | re.VERBOSE)


_COMPILED = tuple(_compiled(_SIGNS))


def suspicion(sentence: str) -> float:
    """How much it reads like an instruction to an assistant: the sum of the signs' weights."""
    return sum(weight for weight, sign in _COMPILED if sign.search(sentence))


@lru_cache(maxsize=2_000)
def injections(text: str) -> tuple[Span, ...]:
    """The suspicious sentences of a passage, in order, those that go on from one to the next in one span: what stands
    beside a suspicious sentence is believed less, and what one announces (`… the following:`) belongs to it."""
    found = [(span, suspicion(text[span.start : span.end])) for span in sentences(text)]
    flagged = [score >= SUSPICIOUS for _, score in found]
    for order in (range(1, len(found)), range(len(found) - 2, -1, -1)):
        step = -1 if order.step > 0 else 1
        for place in order:
            beside = flagged[place + step] and found[place][1] >= BESIDE
            announced = step < 0 and flagged[place - 1] and _announces(text, found[place - 1][0], found[place][0])
            flagged[place] = flagged[place] or beside or announced
    spans: list[Span] = []
    for (span, _), bad in zip(found, flagged, strict=True):
        if bad and spans and not text[spans[-1].end : span.start].strip():
            spans[-1] = Span(spans[-1].start, span.end)
        elif bad:
            spans.append(span)
    return tuple(spans)


@lru_cache(maxsize=2_000)
def without_injections(text: str) -> str:
    """The text with WITHHELD in the place of each suspicious span."""
    for span in reversed(injections(text)):
        text = text[: span.start] + WITHHELD + text[span.end :]
    return text


def _announces(text: str, before: Span, after: Span) -> bool:
    return text[before.start : before.end].rstrip().endswith(":") or text[after.start] in '<[«“"'
