"""An answer made of the passages' own sentences: those that answer each need, in order, quoted word for word.

A sentence is chosen for the need's terms that it and its section's title hold (rare ones among the passages weigh
more), for holding the kind of thing that is asked for, and for the rank of its passage.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from domain.agents.mentions import LIGHT, mentions
from domain.agents.state import Evidence
from domain.agents.wanted import Kind, Wanted
from domain.knowledge import Passage
from domain.model import Role, Span
from domain.terms import content_terms, sentences, terms

TITLE_SHARE = 0.6
"""What a term in the title counts beside one in the sentence."""
KIND_BONUS, SECTION_BONUS, RANK_BONUS, SCORE_BONUS = 0.4, 0.7, 0.15, 0.25
PAIR_BONUS, STEPS_RANK_BONUS = 0.3, 0.4
SHORT_LOSS, LONG_LOSS, QUESTION_LOSS, LEANING_LOSS, CONDITION_LOSS = 0.25, 0.1, 0.3, 0.08, 0.15
MUST_COVER = 0.45
"""The part of the need's weight that one passage with its title must hold for the need to be answered."""
NEXT_BEST = 0.8
"""A further sentence is quoted when it is this good beside the best."""
ALIKE = 0.6
"""Two sentences that share this much of their terms say the same."""
STEPS_NEAR = 0.5
"""Steps are taken from a passage whose score is at least this part of the best one's."""
MOST_SENTENCES = 3
MOST_STEPS = 9

_ITEM = re.compile(r"^\s*\d+[.)]\s")
_NUMBER = re.compile(r"\d")
_DEFINES = re.compile(r"^(?:what|who)(?:['’]s| is| are| was| were)\b|^(?:tell me about|describe|explain)\b", re.I)
_CONDITION = re.compile(r"\b(?:if|when|unless|once)\b", re.I)
_LEANS = re.compile(
    r"^(?:it|its|they|their|this|these|those|that|such|he|she|both|there|then|so|also|otherwise|if so|in that case)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a passage. `lead` is the title that has to stand before it for it to be understood."""

    passage: Passage
    span: Span
    lead: str = ""

    @property
    def text(self) -> str:
        return self.passage.chunk.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class _Scored:
    quote: Quote
    score: float
    held: frozenset[str]
    kind: float


def extract(evidence: Evidence, others: Sequence[Evidence] = ()) -> list[list[Quote]]:
    """The quotes that answer one need: lines of sentences. Empty when the passages do not hold an answer."""
    wanted = Wanted.by(evidence.need.text)
    asked = _telling(evidence.need.text, wanted)
    pool = [passage for one in (evidence, *others) for passage in one.passages]
    if not asked or not evidence.passages:
        return []
    weights = _weights(asked, pool)
    if covered(weights, evidence.passages) < MUST_COVER or _names_the_unknown(evidence):
        return []
    if wanted.kind is Kind.STEPS and (steps := _steps(evidence, weights)):
        return steps
    scored = [s for rank, p in enumerate(evidence.passages) for s in _scored(p, rank, evidence, weights, wanted)]
    return [_chosen(scored, wanted, evidence.need.text)] if scored else []


def _telling(question: str, wanted: Wanted) -> list[str]:
    """The question's terms without those that only say what kind of thing is asked for, if others are left."""
    asked = list(dict.fromkeys(content_terms(question)))
    telling = [term for term in asked if term not in wanted.asking and term not in LIGHT]
    return telling or asked


def covered(weights: dict[str, float], passages: Sequence[Passage]) -> float:
    """The largest part of the need's weight that one passage holds with its title, in [0, 1]."""
    total = sum(weights.values())
    return max(
        sum(weights[t] for t in weights if t in _held(p.chunk.text) | _held(p.chunk.title)) / total for p in passages
    )


def _names_the_unknown(evidence: Evidence) -> bool:
    """Whether the need names something (a proper name, a code, a number) that none of its passages knows. What they
    say of other things would be no answer."""
    question = evidence.need.text
    names = {t for m in mentions(question, 0, Role.USER) if m.named and not m.leading for t in content_terms(m.text)}
    names |= {term for term in content_terms(question) if any(c.isdigit() for c in term)}
    held = frozenset[str]().union(*(_held(p.chunk.text) | _held(p.chunk.title) for p in evidence.passages))
    return bool(names - held)


@lru_cache(maxsize=1000)
def _held(text: str) -> frozenset[str]:
    return frozenset(terms(text))


def _weights(asked: Sequence[str], pool: Sequence[Passage]) -> dict[str, float]:
    """Terms that few of the passages hold tell them apart; a term that none holds weighs most."""
    count = len(pool)
    weights = {}
    for term in asked:
        holding = sum(term in _held(p.chunk.text) or term in _held(p.chunk.title) for p in pool)
        weights[term] = 0.6 + math.log1p((count - holding + 0.5) / (holding + 0.5)) / math.log1p((count + 0.5) / 0.5)
    return weights


def _section_fit(passage: Passage, weights: dict[str, float]) -> float:
    """How well the title is what was asked: the section's own, or (a little less) the document's."""
    path = passage.chunk.title_path
    return max(_fit(path[-1], weights), 0.8 * _fit(path[0], weights)) if path else 0.0


def _fit(title: str, weights: dict[str, float]) -> float:
    """F1 of the title's terms and the need's, by weight."""
    own = set(content_terms(title)) - LIGHT
    shared = own & weights.keys()
    if not shared:
        return 0.0
    precision = len(shared) / len(own)
    recall = sum(weights[t] for t in shared) / sum(weights.values())
    return 2 * precision * recall / (precision + recall)


def _scored(
    passage: Passage, rank: int, evidence: Evidence, weights: dict[str, float], wanted: Wanted
) -> Iterator[_Scored]:
    total = sum(weights.values())
    title = _held(passage.chunk.title)
    top = evidence.passages[0].score
    asked = content_terms(evidence.need.text)
    base = RANK_BONUS / (1 + rank) + SECTION_BONUS * _section_fit(passage, weights)
    base += SCORE_BONUS * (passage.score / top if top > 0 else 0.0)
    for span in _spans(passage.chunk.text):
        text = passage.chunk.text[span.start : span.end]
        words = _held(text)
        held = frozenset(weights.keys() & words)
        by_title = (weights.keys() & title) - held
        score = base + (sum(weights[t] for t in held) + TITLE_SHARE * sum(weights[t] for t in by_title)) / total
        named = passage.chunk.title_path[-1] if passage.chunk.title_path else ""
        kind = wanted.held_by(text)
        lead = named if wanted.kind is Kind.OPERATION and not kind and wanted.held_by(named) else ""
        if lead:
            kind = 1.0
        length = len(text.split())
        score += KIND_BONUS * kind
        score -= SHORT_LOSS * (length < 4) + LONG_LOSS * (length > 60) + QUESTION_LOSS * text.endswith("?")
        score += PAIR_BONUS * _paired(asked, text)
        score -= CONDITION_LOSS * bool(_CONDITION.match(text) and not _CONDITION.search(evidence.need.text))
        score -= LEANING_LOSS * bool(_LEANS.match(text))
        yield _Scored(Quote(passage, span, lead), score, held, kind)


def _paired(asked: Sequence[str], text: str) -> float:
    """The part of the question's neighbouring terms that stand close together in the sentence too."""
    pairs = list(pairwise(asked))
    if not pairs:
        return 0.0
    places: dict[str, list[int]] = {}
    for place, term in enumerate(content_terms(text)):
        places.setdefault(term, []).append(place)
    gained = 0.0
    for one, other in pairs:
        apart = [abs(i - j) for i in places.get(one, ()) for j in places.get(other, ()) if i != j]
        gained += 1 / min(apart) if apart and min(apart) <= 3 else 0.0
    return gained / len(pairs)


@lru_cache(maxsize=500)
def _spans(text: str) -> tuple[Span, ...]:
    return tuple(span for span in sentences(text) if any(c.isalnum() for c in text[span.start : span.end]))


def _chosen(scored: Sequence[_Scored], wanted: Wanted, question: str) -> list[Quote]:
    ranked = sorted(scored, key=lambda one: -one.score)
    best = ranked[0]
    chosen = [best]
    known = best.held | wanted.asking
    exact = best.kind >= 1.0
    for one in ranked[1:]:
        if len(chosen) >= MOST_SENTENCES or one.score < NEXT_BEST * best.score:
            break
        if (exact or one.quote.passage is not best.quote.passage) and not (one.kind >= best.kind and one.held - known):
            continue
        if all(_alike(one.quote.text, other.quote.text) < ALIKE for other in chosen):
            chosen.append(one)
            known |= one.held
    quotes = [quote for one in chosen for quote in _understandable(one.quote)]
    if _DEFINES.match(question) and len(quotes) == 1:
        quotes += _following(best.quote)
    first: dict[int, int] = {}
    for place, quote in enumerate(quotes):
        first.setdefault(id(quote.passage), place)
    unique = {(id(q.passage), q.span): q for q in sorted(quotes, key=lambda q: bool(q.lead))}
    return sorted(unique.values(), key=lambda q: (first[id(q.passage)], q.span.start))


def _following(quote: Quote) -> list[Quote]:
    """The next sentence: what something is takes more than one."""
    after = [span for span in _spans(quote.passage.chunk.text) if span.start >= quote.span.end]
    return [Quote(quote.passage, after[0])] if after else []


def _understandable(quote: Quote) -> list[Quote]:
    """A sentence that leans on the one before it, with that one."""
    if not _LEANS.match(quote.text):
        return [quote]
    before = [span for span in _spans(quote.passage.chunk.text) if span.end <= quote.span.start]
    return [Quote(quote.passage, before[-1]), quote] if before else [quote]


def _alike(one: str, other: str) -> float:
    ones, others = _held(one), _held(other)
    return len(ones & others) / max(1, min(len(ones), len(others)))


def _steps(evidence: Evidence, weights: dict[str, float]) -> list[list[Quote]]:
    """The numbered steps of the section that fits best, each on a line, and what else its document says of limits."""
    best, most = None, 0.0
    for rank, passage in enumerate(evidence.passages):
        items = [line for line in passage.chunk.text.splitlines() if _ITEM.match(line)]
        if len(items) >= 2 and passage.score >= STEPS_NEAR * evidence.passages[0].score:
            said = _held("\n".join([*passage.chunk.title_path[-1:], *items]))
            fit = sum(weights[t] for t in weights.keys() & said) / sum(weights.values())
            fit += SECTION_BONUS * _section_fit(passage, weights) + STEPS_RANK_BONUS / (1 + rank)
            if fit > most:
                best, most = passage, fit
    if best is None or covered(weights, [best]) < MUST_COVER:
        return []
    text = best.chunk.text
    lines: list[list[Quote]] = []
    for match in re.finditer(r"[^\n]+", text):
        if _ITEM.match(match[0]):
            inside = [s for s in _spans(text) if match.start() <= s.start < match.end()]
            if inside:
                inside[0] = Span(match.start(), inside[0].end)
            lines.append([Quote(best, span) for span in inside])
    note = _note(best, evidence, weights)
    return lines[:MOST_STEPS] + ([[note]] if note else [])


def _note(steps: Passage, evidence: Evidence, weights: dict[str, float]) -> Quote | None:
    """The sentence elsewhere in the document that limits what the steps speak of (how long, how often)."""
    limits = Wanted(Kind.DURATION)
    spoken = {pair for pair in _pairs(steps.chunk.text) if not weights.keys() >= set(pair)}
    best, most = None, 0
    for passage in evidence.passages:
        if passage.chunk.document_id != steps.chunk.document_id or passage is steps:
            continue
        for span in _spans(passage.chunk.text):
            text = passage.chunk.text[span.start : span.end]
            shared = len(_pairs(text) & spoken) + (1 if weights.keys() & _held(text) else 0)
            if (
                limits.held_by(text)
                and _NUMBER.search(text)
                and shared > most
                and shared >= 2
                and not _LEANS.match(text)
            ):
                best, most = Quote(passage, span), shared
    return best


def _pairs(text: str) -> set[tuple[str, str]]:
    words = content_terms(text)
    return set(pairwise(words))
