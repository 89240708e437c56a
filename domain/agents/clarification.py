"""The question back to the user, when two agents are nearly equal, and what the reply to it settles.

It is an ordinary answer, and is known again by its words: the messages are the one record of a conversation.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import TypeVar

from domain.agents.catalog import Agent
from domain.agents.mentions import words_of
from domain.agents.small_talk import small_talk
from domain.agents.state import Clarification, Conversation, Line, Need, Routing, Settled, TurnContext, TurnState
from domain.model import Role, Route, RouteMethod, RunnerUp
from domain.terms import content_terms, terms

T = TypeVar("T")

TOPIC = 60
"""Characters of a description that are told."""
ASIDE = 2
"""Words beside an agent's name with which a reply still names it, and adds them to the question."""
WHOLE = 4
"""Words with which a reply is a question of its own, even if it is not put as one."""

_BEGINNING = "Do you mean "
_TOPIC_ENDS = re.compile(r"[:;.!?\n](?=\s|$)")
_POLITE = r"(?:please|pls|thanks|thank you)"
_PICKS = (
    r"(?:the\s+)?(?:1(?:st)?|first|former|a)(?:\s+(?:one|option|choice))?",
    r"(?:the\s+)?(?:2(?:nd)?|second|latter|last|b)(?:\s+(?:one|option|choice))?",
)
_LEAD = re.compile(
    r"^(?:(?:oh|ah|um|well|yes|yeah|sorry|i\s+mean(?:t)?|i\s+want|i(?:['’]d|\s+would)\s+like|option|number"
    r"|it(?:['’]s|\s+is))\b[\s,:.!]*)*",
    re.IGNORECASE,
)
_CHOICES = [re.compile(rf"{pick}[\s,.!)]*(?:{_POLITE})?[\s.!]*", re.IGNORECASE) for pick in _PICKS]
_OPEN = re.compile(
    r"(?:both(?:\s+(?:of\s+them|please))?|either(?:\s+(?:one|of\s+them))?|any|all|whatever|whichever|no\s+idea|no"
    r"|(?:i(?:['’]m|\s+am)\s+)?not\s+sure|(?:i\s+)?(?:don['’]?t|do\s+not)\s+(?:know|care|mind)|you\s+(?:choose|decide))"
    rf"[\s,.!?]*(?:{_POLITE})?[\s.!]*",
    re.IGNORECASE,
)
_ASKS = words_of("what which how when where who why whose is are was were do does did can could should will would may")
_FILLING = frozenset(terms("one thing part agent topic side option choice question kind sort about mean want please"))


def settle(conversation: Conversation, context: TurnContext) -> TurnState:
    """What is asked in effect, and the conversation before it. Where there is none, a question stands alone."""
    before, now = settled(context.question.text, conversation, context.agents)
    told: TurnState = {"conversation": before, "settled": now}
    return told if before.lines or before.notes else {**told, "standalone_question": now.question}


def clarification(first: Agent, second: Agent) -> Clarification:
    return Clarification(f"{_BEGINNING}{_named(first)} or {_named(second)}?")


def either_of(
    pair: tuple[Agent, Agent], confidences: tuple[float, float], question: str, method: RouteMethod, may_ask: bool
) -> Routing:
    """What comes of a question that two agents may be meant by: the user is asked or, when that was done just before,
    both agents are."""
    told = "You are asked which of them is meant." if may_ask else "You did not say which of them is meant."
    routes = tuple(
        Route(
            agent.name,
            round(sure, 3),
            f"The question fits {agent.title} about as well as {other.title}. {told}",
            RouteMethod.CLARIFICATION if may_ask else method,
            RunnerUp(other.name, round(less, 3)),
        )
        for (agent, other), (sure, less) in zip(_ways(pair), _ways(confidences), strict=True)
    )
    if may_ask:
        return Routing(routes, (), clarification(*pair))
    return Routing(routes, tuple(Need(question, route.agent) for route in routes))


def as_meant(settled: Settled, question: str, agents: Sequence[Agent]) -> Routing:
    """Of the agents that a reply names."""
    one = len(settled.meant) == 1
    reason = "You said so when you were asked which one is meant." if one else "Either may be meant, as you said."
    return _asking(settled.meant, question, agents, 1.0, reason, RouteMethod.REPLY)


def undecided(settled: Settled, question: str, agents: Sequence[Agent]) -> Routing:
    """When neither the reply nor the documents decide: the question is asked without the reply."""
    reason = "It may be meant; your reply did not say."
    plain = question.replace(settled.aside, "")
    return _asking(settled.between, plain, agents, 0.5, reason, RouteMethod.EMBEDDED)


def _asking(
    names: Sequence[str], question: str, agents: Sequence[Agent], confidence: float, reason: str, method: RouteMethod
) -> Routing:
    asked = [agent.name for agent in agents if agent.name in names]
    routes = tuple(Route(name, confidence, reason, method) for name in asked)
    return Routing(routes, tuple(Need(question, name) for name in asked))


def settled(question: str, conversation: Conversation, agents: Sequence[Agent]) -> tuple[Conversation, Settled]:
    """Each clarification, the question before it and the reply become one question."""
    if not any(map(_may_be, conversation.lines)):
        return conversation, Settled(question)
    kept: list[Line] = []
    now = Settled(question)
    for line in (*conversation.lines, Line(Role.USER, question)):
        now = Settled(line.text)
        asked = _between(kept, tuple(agents)) if line.role is Role.USER else None
        if asked is not None:
            now = _reply(kept[-2].text, line.text, asked)
            del kept[-1 if now.question == line.text else -2 :]
        kept.append(Line(line.role, now.question))
    return Conversation(tuple(kept[:-1])), now


def _between(lines: Sequence[Line], agents: tuple[Agent, ...]) -> tuple[Agent, Agent] | None:
    """The agents that the last of these lines asks to choose from, if it does."""
    asks = len(lines) > 1 and _may_be(lines[-1]) and lines[-2].role is Role.USER
    return _pair(lines[-1].text, agents) if asks else None


def _reply(question: str, reply: str, asked: tuple[Agent, Agent]) -> Settled:
    both = tuple(agent.name for agent in asked)
    if small_talk(reply):
        return Settled(reply)
    core = _LEAD.sub("", reply.strip(), count=1)
    for pick, name in zip(_CHOICES, both, strict=True):
        if pick.fullmatch(core):
            return Settled(question, True, (name,))
    if not core or _OPEN.fullmatch(core):
        return Settled(question, True, both)
    said = {term for term in content_terms(core) if term not in _FILLING}
    named = [agent for agent, other in _ways(asked) if said & (_names(agent) - _names(other))]
    if len(named) == 2 and not said - _names(asked[0]) - _names(asked[1]):
        return Settled(question, True, both)
    if len(named) == 1 and (beside := _beside(said, named[0], asked)) is not None:
        fresh = beside - set(terms(question))
        return Settled(question + _aside(reply) if fresh else question, True, (named[0].name,))
    described = [agent for agent, other in _ways(asked) if said and said <= _described(agent) - _described(other)]
    if not named and len(described) == 1:
        return Settled(question, True, (described[0].name,))
    if _is_whole(reply, said):
        return Settled(reply, True)
    if not said:
        return Settled(question, True, both)
    return Settled(question + _aside(reply), True, between=both, aside=_aside(reply))


def _beside(said: set[str], named: Agent, asked: tuple[Agent, Agent]) -> set[str] | None:
    """What a reply says besides naming one of the two agents; None when that is too much."""
    other = asked[1] if named is asked[0] else asked[0]
    beside = said - _names(named) - (_described(named) - _described(other))
    return beside if len(beside) <= ASIDE and not beside & _names(other) else None


def _ways(pair: tuple[T, T]) -> tuple[tuple[T, T], tuple[T, T]]:
    return pair, (pair[1], pair[0])


def _is_whole(reply: str, said: set[str]) -> bool:
    """Whether it can be asked without the question before it."""
    first = reply.split(maxsplit=1)[0].casefold() if reply.split() else ""
    return len(said) >= WHOLE or (len(said) > 1 and ("?" in reply or first in _ASKS))


def _aside(reply: str) -> str:
    return f" ({reply.strip().rstrip('.!')})"


def _may_be(line: Line) -> bool:
    return line.role is Role.ASSISTANT and line.text.startswith(_BEGINNING)


@lru_cache(maxsize=64)
def _pair(text: str, agents: tuple[Agent, ...]) -> tuple[Agent, Agent] | None:
    """The agents that a clarification of these words is about: a message may have lost some marks on its way."""
    words = terms(text)
    return next((pair for pair in permutations(agents, 2) if terms(clarification(*pair).text) == words), None)


def _named(agent: Agent) -> str:
    """Its title, with what it is about as far as the title does not say that."""
    end = _TOPIC_ENDS.search(agent.description)
    topic = " ".join(agent.description[: end.start() if end else None].split())
    if len(topic) > TOPIC:
        topic = topic[: TOPIC + 1].rpartition(" ")[0].rstrip(" ,")
    return f"{agent.title} ({topic})" if set(content_terms(topic)) - set(terms(agent.title)) else agent.title


def _names(agent: Agent) -> set[str]:
    return {*terms(agent.title), *terms(agent.name)}


def _described(agent: Agent) -> set[str]:
    return {*_names(agent), *terms(agent.description)}
