"""Which agents hold the answer to a question: one, several (for several needs), or none.

What the documents say decides (`Scale`), with the agents' example questions (`Examples`) and, for a question that
leans on the conversation, what was spoken of last. How the constants below were chosen stands in
docs/decisions/0005; `answerdesk evaluate` measures them.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from langgraph.runtime import Runtime

from domain.agents.catalog import Agent
from domain.agents.examples import Examples
from domain.agents.mentions import reduced, tokens
from domain.agents.needs import parts
from domain.agents.references import gaps
from domain.agents.small_talk import small_talk
from domain.agents.state import Conversation, Need, Routing, TurnContext, TurnState
from domain.agents.weighing import Scale, Strength, Weighed, softmax
from domain.errors import SearchUnavailable
from domain.knowledge import Reader
from domain.model import Role, Route, RouteMethod, RunnerUp
from domain.ports import Retriever
from domain.terms import content_terms

CONTEXT, CONTEXT_OF_FOLLOW_UPS, CONTEXT_OF_FEW_WORDS = 0.5, 3.0, 4.0
"""Logits for staying with what was spoken of last: always; more for a follow-up; more for a question of few words."""
ANSWER_READ = 400
"""Characters of the last answer that are read for what was spoken of."""
CONTEXT_SHARPNESS = 0.5
"""How far the evidence of the last exchange is trusted to tell agents apart."""
DEPTH_WEIGHT, COVER_WEIGHT, SCOPE_BIAS = 0.32, 3.3, -3.9
"""The logit that any document holds an answer: from the mean of the ten best passages and the part of the question's
weight that one passage holds."""
NEAR_WEIGHT, NEAR_BIAS = 10.0, -5.0
"""The same for example questions."""
IN_SCOPE = 0.5
"""Below this nobody is asked."""
FOLLOW_UP_BONUS = 1.0
"""A follow-up to what was in scope is more likely to be in scope, as a logit."""
NEED_IN_SCOPE, NEED_SURE = 0.5, 0.6
"""What every need must reach before several agents are asked: that it is in scope, and that its agent beats the
agent of the other need."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known about one question (or one need of it) before anything is decided. `scope` is the probability
    that some agent holds the answer, `shares` how it is spread over the agents (their sum is 1)."""

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


class Router:
    """Node `route`. Deterministic: the same documents, conversation and question give the same routes."""

    def __init__(self, retriever: Retriever) -> None:
        self._scale = Scale(retriever)

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context, standalone = runtime.context, state["standalone_question"]
        if context.chosen:
            routing = _as_chosen(context.chosen, standalone)
        else:
            asked, conversation = context.question.text, state["conversation"]
            routing = await self.route(asked, standalone, conversation, context.agents, context.reader)
        context.recorder.route_chosen(routing.routes, standalone)
        return {"routing": routing}

    async def route(
        self,
        question: str,
        standalone_question: str,
        conversation: Conversation,
        agents: Sequence[Agent],
        reader: Reader,
    ) -> Routing:
        """Raises SearchUnavailable, unless the agent whom the question resembles most answers without a search."""
        if not agents or small_talk(question):
            return Routing((), ())
        asked = parts(standalone_question)
        whole = await self.assess(question, standalone_question, conversation, agents, reader)
        if whole.weighed.failure is not None:
            return _without_search(whole, agents, whole.weighed.failure)
        if len(asked) > 1:
            each = [await self._assess_part(part, conversation, agents, reader) for part in asked]
            if several := _several(asked, each, agents):
                return several
            if max(part.scope for part in each) > whole.scope and all(p.best == whole.best for p in each):
                whole = max(each, key=lambda part: part.scope)
        if whole.scope < IN_SCOPE:
            return Routing((), ())
        needs = asked if len(asked) > 1 and all(part.best == whole.best for part in each) else [standalone_question]
        return Routing((_route(whole, agents),), tuple(Need(need, whole.best) for need in needs))

    async def assess(
        self,
        question: str,
        standalone_question: str,
        conversation: Conversation,
        agents: Sequence[Agent],
        reader: Reader,
    ) -> Assessment:
        """How likely any agent is to hold the answer, and which."""
        weighed, context = await asyncio.gather(
            self._scale.weigh(standalone_question, agents, reader), self._context(conversation, agents, reader)
        )
        known = _examples_of(tuple(agents))
        leaning = question != standalone_question or bool(conversation.lines and gaps(question))
        return _judge(standalone_question, len(set(content_terms(question))), weighed, context, leaning, known)

    async def _assess_part(
        self, part: str, conversation: Conversation, agents: Sequence[Agent], reader: Reader
    ) -> Assessment:
        weighed = await self._scale.weigh(part, agents, reader)
        return _judge(part, weighed.terms, weighed, None, False, _examples_of(tuple(agents)))

    async def _context(
        self, conversation: Conversation, agents: Sequence[Agent], reader: Reader
    ) -> dict[str, float] | None:
        """How much each agent was spoken of in the last exchange, as shares; None at the beginning."""
        if not conversation.lines:
            return None
        asked = conversation.questions[-1:]
        answered = [line.text[:ANSWER_READ] for line in conversation.lines if line.role is Role.ASSISTANT][-1:]
        weighed = await asyncio.gather(*(self._scale.weigh(text, agents, reader) for text in (*asked, *answered)))
        shares = [one.shares(CONTEXT_SHARPNESS) for one in weighed]
        return {agent.name: sum(share[agent.name] for share in shares) / len(shares) for agent in agents}


def _as_chosen(agents: Sequence[str], question: str) -> Routing:
    routes = tuple(Route(agent, 1.0, "Chosen by the client.", RouteMethod.CLIENT) for agent in agents)
    return Routing(routes, tuple(Need(question, agent) for agent in agents))


@lru_cache(maxsize=16)
def _examples_of(agents: tuple[Agent, ...]) -> Examples:
    """Read once for each set of agents that some viewers may ask."""
    return Examples(agents)


def _judge(
    text: str,
    words: int,
    weighed: Weighed,
    context: Mapping[str, float] | None,
    leaning: bool,
    known: Examples,
) -> Assessment:
    logits = {name: strength.evidence for name, strength in weighed.strengths.items()}
    if context:
        stay = CONTEXT + CONTEXT_OF_FEW_WORDS / (1 + words) + (CONTEXT_OF_FOLLOW_UPS if leaning else 0.0)
        logits = {name: logit + stay * context[name] for name, logit in logits.items()}
    best = weighed.strengths[max(logits, key=lambda name: logits[name])]
    scope = _scope(best) + (FOLLOW_UP_BONUS if context and leaning else 0.0)
    if known and weighed.terms:
        votes, near = known.votes(text), known.nearness(text)
        logits = {name: logit + votes[name] for name, logit in logits.items()}
        scope = max(scope, NEAR_WEIGHT * max(near.values()) + NEAR_BIAS)
    return Assessment(text, _probability(scope) if weighed.terms else 0.0, softmax(logits), weighed, leaning)


def _scope(strength: Strength) -> float:
    return DEPTH_WEIGHT * strength.best10 + COVER_WEIGHT * strength.covered + SCOPE_BIAS


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _several(asked: Sequence[str], each: Sequence[Assessment], agents: Sequence[Agent]) -> Routing | None:
    """Several agents, when every need is surely another agent's; None otherwise."""
    chosen: dict[str, Assessment] = {}
    for part in each:
        if part.scope < NEED_IN_SCOPE:
            return None
        if part.best not in chosen or part.scope > chosen[part.best].scope:
            chosen[part.best] = part
    if len(chosen) < 2:
        return None
    for part in each:
        rivals = [part.shares[name] for name in chosen if name != part.best]
        if part.shares[part.best] / (part.shares[part.best] + max(rivals)) < NEED_SURE:
            return None
    routes = tuple(_route(part, agents) for part in chosen.values())
    return Routing(routes, tuple(Need(text, part.best) for text, part in zip(asked, each, strict=True)))


def _without_search(assessment: Assessment, agents: Sequence[Agent], failure: SearchUnavailable) -> Routing:
    """By the agents' descriptions and example questions alone. Where those tell nothing apart, it is anybody's question."""
    name, shares = assessment.best, assessment.shares
    allowed = {agent.name for agent in agents if agent.answers_without_search}
    told_apart = len(shares) == 1 or shares[name] > min(shares.values())
    if name not in allowed or not told_apart:
        raise failure
    reason = "It is described or asked like that; its documents cannot be searched just now."
    second = assessment.runner_up
    runner_up = RunnerUp(second, round(shares[second], 3)) if second is not None else None
    route = Route(name, round(shares[name], 3), reason, runner_up=runner_up)
    return Routing((route,), (Need(assessment.text, name),))


def _route(assessment: Assessment, agents: Sequence[Agent]) -> Route:
    name, second = assessment.best, assessment.runner_up
    confidence = round(assessment.scope * assessment.shares[name], 3)
    held = _written(assessment.weighed.strengths[name].held, assessment.text)
    reason = f"Its documents cover {held}" if held else "It resembles the agent's example questions"
    if assessment.leaning:
        reason += ", and the conversation was about it"
    runner_up = None
    if second is not None:
        runner_up = RunnerUp(second, round(assessment.scope * assessment.shares[second], 3))
        title = next(agent.title for agent in agents if agent.name == second)
        reason += f"; runner-up {title} {runner_up.confidence:.2f}"
    return Route(name, confidence, reason + ".", runner_up=runner_up)


def _written(held: Sequence[str], text: str) -> str:
    """The terms as the question writes them."""
    words = {reduced(word): word for word in reversed(tokens(text))}
    return ", ".join(f"“{words.get(term, term)}”" for term in held[:4])
