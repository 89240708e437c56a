"""How strongly each agent's documents speak to a question, on one scale for all agents.

Search engines' scores cannot be compared across indexes, so the passages that each search found are weighed again
here: BM25 (Robertson and Zaragoza, 2009) with the rarity of a term counted over all the agents' documents together.
A term that stands nowhere is the rarest of all: it counts against every agent.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from domain.agents.calibration import VECTORS, WORDS, Calibration
from domain.agents.catalog import Agent
from domain.agents.mentions import words_of
from domain.errors import SearchUnavailable
from domain.knowledge import Passage, Reader, TermStatistics, titled
from domain.ports import Retriever
from domain.terms import content_terms, stem, terms

DEPTH = 10
"""Passages looked at for each agent."""
SPARSE = 8
"""One chunk in so many is expected to say something on a topic: small knowledge bases are not looked into as deep."""
FORM = 0.3
"""What the word after `how` weighs: `how often` asks for a number, which the documents need not call `often`."""
_MEASURED = re.compile(r"\bhow\s+(\w+)", re.IGNORECASE)
_MEASURES = words_of("long often soon far fast quickly big large high deep old wide tall heavy late early close", stem)
SATURATION = 1.2
LENGTH_SHARE = 0.75
USUAL_LENGTH = 150
"""BM25's k1 and b, and the terms of an average passage."""
SPAN = 8.0
"""The weight of a term that stands nowhere; the weights of all terms lie in (0, SPAN]."""
NEAREST = 3
"""Passages by whose vectors an agent's likeness to the question is told."""


@dataclass(frozen=True, slots=True)
class Strength:
    """One agent against one question. `best`, `best5` and `best10` are the mean weights of the best 1, 5 and 10
    passages (fewer than 10 in a small knowledge base); `covered` is the part of the question's weight that one passage holds, in [0, 1]; `titled` and `profile` are the weight of
    the terms that stand in one passage's title and in the agent's own description; `held` are the
    question's terms that the best passages hold, the rarest first; `alike` is the mean cosine of the question to the
    nearest passages, where the search engine tells it."""

    best: float = 0.0
    best5: float = 0.0
    best10: float = 0.0
    covered: float = 0.0
    titled: float = 0.0
    profile: float = 0.0
    held: tuple[str, ...] = ()
    alike: float = 0.0

    def evidence(self, by: Calibration) -> float:
        """How much speaks for this agent, as a logit."""
        words = by.best * self.best + by.best5 * self.best5 + by.titled * self.titled + by.profile * self.profile
        return words + by.alike * self.alike


@dataclass(frozen=True, slots=True)
class Weighed:
    """Every agent's strength for one question of `terms` distinct terms, to be judged by `calibration`. `documented`: some
    agent has documents; `found` are the passages of each, by agent, best first. After a `failure` of the search, only the
    agents' own descriptions were read."""

    strengths: Mapping[str, Strength]
    terms: int
    failure: SearchUnavailable | None = None
    calibration: Calibration = WORDS
    documented: bool = True
    found: Mapping[str, Sequence[Passage]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def evidence(self) -> dict[str, float]:
        """By agent, as logits."""
        return {name: strength.evidence(self.calibration) for name, strength in self.strengths.items()}

    def shares(self, sharpness: float = 1.0) -> dict[str, float]:
        """The evidence as a distribution over the agents."""
        return softmax({name: sharpness * logit for name, logit in self.evidence.items()})


class Scale:
    """Weighs questions against agents."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def weigh(self, question: str, agents: Sequence[Agent], reader: Reader, *, deep: bool = False) -> Weighed:
        """By each agent's best DEPTH passages. `deep` finds as many as are looked at for an answer, which no search need
        find again. Raises SearchUnavailable, unless one of the agents answers without a search."""
        asked = list(dict.fromkeys(content_terms(question)))
        if not asked:
            return Weighed({agent.name: Strength() for agent in agents}, 0)
        failure: SearchUnavailable | None = None
        found: Sequence[Sequence[Passage]]
        statistics: Sequence[TermStatistics | None]
        try:
            told: list[Any] = await asyncio.gather(
                *(self._retriever.search(agent.name, question, _depth(agent, deep), reader) for agent in agents),
                *(self._retriever.term_statistics(agent.name, asked, reader) for agent in agents),
            )
            found, statistics = told[: len(agents)], told[len(agents) :]
        except SearchUnavailable as error:
            if not any(agent.answers_without_search for agent in agents):
                raise
            failure, found, statistics = error, [()] * len(agents), [None] * len(agents)
        all_found = {} if failure else {agent.name: its for agent, its in zip(agents, found, strict=True)}
        found = [passages[:DEPTH] for passages in found]
        weights, sizes = _weights(asked, statistics, found)
        for term in _MEASURES & set(content_terms(" ".join(_MEASURED.findall(question)))):
            weights[term] *= FORM
        return Weighed(
            {
                agent.name: _strength(weights, passages, _described(agent.title, agent.description), size)
                for agent, passages, size in zip(agents, found, sizes, strict=True)
            },
            len(asked),
            failure,
            VECTORS if _compared(found) else WORDS,
            any(sizes),
            all_found,
        )


def _depth(agent: Agent, deep: bool) -> int:
    return max(DEPTH, agent.candidates) if deep else DEPTH


def _compared(found: Sequence[Sequence[Passage]]) -> bool:
    """Whether vectors were compared for all that was found."""
    likenesses = [passage.likeness for passages in found for passage in passages]
    return bool(likenesses) and None not in likenesses


def _weights(
    asked: Sequence[str], statistics: Sequence[TermStatistics | None], found: Sequence[Sequence[Passage]]
) -> tuple[dict[str, float], list[int]]:
    """Each term's rarity, and each agent's chunks. An engine without statistics is judged by what it found, as if
    that were a quarter of all. Where nobody has documents, no term is known to be rare."""
    sizes: list[int] = []
    frequency: Counter[str] = Counter()
    for counted, passages in zip(statistics, found, strict=True):
        if counted is not None:
            sizes.append(counted.chunks)
            frequency.update(counted.frequency)
        else:
            sizes.append(4 * len(passages))
            frequency.update(term for p in passages for term in set(asked) & _read(p).text.keys())
    chunks = sum(sizes)
    if not chunks:
        return dict.fromkeys(asked, SPAN / 2), sizes
    rarest = math.log1p((chunks + 0.5) / 0.5)
    rarity = {
        term: SPAN * math.log1p((chunks - frequency[term] + 0.5) / (frequency[term] + 0.5)) / rarest for term in asked
    }
    return rarity, sizes


def softmax(logits: Mapping[str, float]) -> dict[str, float]:
    top = max(logits.values(), default=0.0)
    powers = {name: math.exp(value - top) for name, value in logits.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


@dataclass(frozen=True, slots=True)
class _Terms:
    """How often each term stands in a passage, its title included; which of them stand in the title; and what BM25 adds
    to how often, for a passage of this length."""

    text: Mapping[str, int]
    title: Collection[str]
    norm: float


def _read(passage: Passage) -> _Terms:
    return _terms(passage.chunk.title_path, passage.chunk.text)


@lru_cache(maxsize=2000)
def _terms(title_path: tuple[str, ...], text: str) -> _Terms:
    title = titled(title_path)
    counted = Counter(terms(f"{title}\n{text}"))
    norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * counted.total() / USUAL_LENGTH)
    return _Terms(dict(counted), frozenset(terms(title)), norm)


@lru_cache(maxsize=2000)
def _described(title: str, description: str) -> Collection[str]:
    """The terms of an agent's description of itself."""
    return frozenset(terms(f"{title} {description}"))


def _strength(
    weights: Mapping[str, float], passages: Sequence[Passage], described: Collection[str], size: int
) -> Strength:
    total = sum(weights.values())
    scores, held_weights, titled_weights = list[float](), list[float](), list[float]()
    held = dict[str, None]()
    for rank, passage in enumerate(passages):
        read = _read(passage)
        score = weight = of_title = 0.0
        for term, rarity in weights.items():
            if often := read.text.get(term):
                score += rarity * often * (SATURATION + 1) / (often + read.norm)
                weight += rarity
                if rank < 3:
                    held[term] = None
                if term in read.title:
                    of_title += rarity
        scores.append(score)
        held_weights.append(weight)
        titled_weights.append(of_title)
    scores.sort(reverse=True)
    deep = max(1, min(DEPTH, round(size / SPARSE)))
    return Strength(
        best=scores[0] if scores else 0.0,
        best5=sum(scores[:5]) / 5,
        best10=sum(scores[:deep]) / deep,
        covered=max(held_weights, default=0.0) / total,
        titled=max(titled_weights, default=0.0),
        profile=sum(w for t, w in weights.items() if t in described),
        held=tuple(sorted(held, key=lambda term: -weights[term])),
        alike=_alike(passages),
    )


def _alike(passages: Sequence[Passage]) -> float:
    nearest = sorted((passage.likeness or 0.0 for passage in passages), reverse=True)[:NEAREST]
    return sum(nearest) / len(nearest) if nearest else 0.0
