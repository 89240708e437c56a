"""How likely any agent is to hold the answer to a question, and which: before anything is decided.

What the documents say counts (`Scale`), with the agents' example questions (`Examples`) and, for a question that leans on
the conversation, what was spoken of last.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from domain.agents.calibration import VECTORS, WORDS, Calibration
from domain.agents.catalog import Agent
from domain.agents.examples import Examples
from domain.agents.references import gaps
from domain.agents.state import Conversation
from domain.agents.weighing import Scale, Strength, Weighed, softmax
from domain.errors import SearchUnavailable
from domain.knowledge import Reader
from domain.model import Role
from domain.ports import Retriever
from domain.terms import content_terms

CONTEXT, CONTEXT_OF_FOLLOW_UPS, CONTEXT_OF_FEW_WORDS = 0.5, 3.0, 4.0
"""Logits for staying with what was spoken of last: always; more for a follow-up; more for a question of few words."""
ANSWER_READ = 400
"""Characters of the last answer that are read for what was spoken of."""
CONTEXT_SHARPNESS = 0.5
"""How far the evidence of the last exchange is trusted to tell agents apart."""
SAME_TOPIC_BONUS, FEW_WORDS_BONUS, FOLLOW_UP_BONUS = 2.0, 2.0, 0.5
"""In a conversation, a question is more likely to be in scope when it is for the agent that was spoken of last, has few
words, or is a follow-up, as logits."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known about one question (or one need of it). `scope` is the probability that some agent holds the answer,
    `shares` how it is spread over the agents (their sum is 1)."""

    text: str
    scope: float
    shares: Mapping[str, float]
    weighed: Weighed
    leaning: bool

    @property
    def best(self) -> str:
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def runner_up(self) -> str | None:
        return max((n for n in self.shares if n != self.best), key=lambda name: self.shares[name], default=None)

    def confidence(self, agent: str) -> float:
        return round(self.scope * self.shares[agent], 3)


@dataclass(frozen=True, slots=True)
class _Resemblance:
    """What a question is like among the example questions, by agent: how near their words and, with vectors, their
    meanings are, and how both vote."""

    votes: Mapping[str, float]
    near: Mapping[str, float]
    alike: Mapping[str, float] | None


class Assessor:
    """Deterministic: the same documents, conversation and question give the same assessment."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._scale = Scale(retriever)

    async def assess(
        self,
        question: str,
        standalone_question: str,
        conversation: Conversation,
        agents: Sequence[Agent],
        reader: Reader,
        parts: Sequence[str] = (),
    ) -> tuple[Assessment, ...]:
        """Of the whole question, and of each of its parts by itself. Raises SearchUnavailable, unless one of the agents
        answers without a search."""
        texts, before = (standalone_question, *parts), _last_exchange(conversation)
        weighing = [self._scale.weigh(text, agents, reader, deep=True) for text in texts]
        weighing += [self._scale.weigh(text, agents, reader) for text in before]
        weighed = [await weighing[0]] if len(weighing) == 1 else await asyncio.gather(*weighing)
        context = _spoken_of(weighed[len(texts) :])
        known = _examples_of(tuple(agents))
        like = [await self._resemblance(text, known) for text in texts] if known else [None] * len(texts)
        leaning = question != standalone_question or bool(conversation.lines and gaps(question))
        found: list[Assessment] = []
        for text, one, resembles in zip(texts, weighed, like, strict=False):
            words = len(set(content_terms(question if not found else text)))
            found.append(_judge(text, words, leaning and not found, one, context, resembles))
        return tuple(found)

    async def _resemblance(self, text: str, known: Examples) -> _Resemblance | None:
        if not content_terms(text):
            return None
        try:
            cosines = await self._retriever.likeness(text, known.texts)
        except SearchUnavailable:
            cosines = None
        alike = None if cosines is None else known.nearest(cosines)
        return _Resemblance(known.votes(text), known.nearness(text), alike)


def _last_exchange(conversation: Conversation) -> list[str]:
    answered = [line.text[:ANSWER_READ] for line in conversation.lines if line.role is Role.ASSISTANT]
    return [*conversation.questions[-1:], *answered[-1:]]


def _spoken_of(exchange: Sequence[Weighed]) -> dict[str, float] | None:
    """How much each agent was spoken of in the last exchange, as shares; None at the beginning."""
    shares = [one.shares(CONTEXT_SHARPNESS) for one in exchange]
    return {name: sum(share[name] for share in shares) / len(shares) for name in shares[0]} if shares else None


@lru_cache(maxsize=16)
def _examples_of(agents: tuple[Agent, ...]) -> Examples:
    """Read once for each set of agents that some viewers may ask."""
    return Examples(agents)


def _judge(
    text: str,
    words: int,
    leaning: bool,
    weighed: Weighed,
    context: Mapping[str, float] | None,
    like: _Resemblance | None,
) -> Assessment:
    logits = weighed.evidence
    if context is not None:
        stay = CONTEXT + CONTEXT_OF_FEW_WORDS / (1 + words) + (CONTEXT_OF_FOLLOW_UPS if leaning else 0.0)
        logits = {name: logit + stay * context[name] for name, logit in logits.items()}
    best = max(logits, key=lambda name: logits[name])
    scope = _scope(weighed.strengths[best], weighed.calibration)
    if context is not None:
        scope += SAME_TOPIC_BONUS * context[best] + FEW_WORDS_BONUS / (1 + words)
        scope += FOLLOW_UP_BONUS if leaning else 0.0
    if like is not None:
        by = WORDS if like.alike is None else VECTORS
        alike = like.alike or dict.fromkeys(logits, 0.0)
        logits = {
            name: logit + by.example_votes * like.votes[name] + by.example_alike * alike[name]
            for name, logit in logits.items()
        }
        near = by.near * max(like.near.values()) + by.near_alike * max(alike.values())
        scope = max(scope, near + (by.example_scope_beside if weighed.documented else by.example_scope))
    return Assessment(text, _probability(scope) if weighed.terms else 0.0, softmax(logits), weighed, leaning)


def _scope(strength: Strength, by: Calibration) -> float:
    return by.depth * strength.best10 + by.cover * strength.covered + by.scope_alike * strength.alike + by.scope


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
