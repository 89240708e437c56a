"""Which agents hold the answer to a question: one, several (for several needs), none, or one of two who are nearly equal,
so that the user is asked.

How likely each is comes from domain/agents/assessment.py. How the constants were chosen stands in docs/decisions/0005, 0043
and 0044; `answerdesk evaluate` measures them.
"""

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from domain.agents.assessment import Assessment, Assessor
from domain.agents.catalog import Agent
from domain.agents.clarification import as_meant, either_of, undecided
from domain.agents.mentions import reduced, tokens
from domain.agents.needs import parts
from domain.agents.small_talk import small_talk
from domain.agents.state import Conversation, Need, Routing, Settled, TurnContext, TurnState
from domain.errors import SearchUnavailable
from domain.knowledge import Reader
from domain.model import Route, RouteMethod, RunnerUp
from domain.ports import Retriever
from domain.terms import terms

IN_SCOPE = 0.5
"""Below this nobody is asked."""
NEED_IN_SCOPE, NEED_SURE = 0.5, 0.6
"""What every need must reach before several agents are asked: that it is in scope, and that its agent beats the
agent of the other need."""
EVEN, BETWEEN_THEM, LIKELY = 0.93, 0.75, 0.35
"""When two agents are nearly equal, so that the user is asked: the share of the second, as a part of the first's; what both
have together; and the first's confidence. See docs/decisions/0043 for the choice."""


class Router:
    """Node `route`. Deterministic: the same documents, conversation and question give the same routes."""

    def __init__(self, retriever: Retriever) -> None:
        self._assessor = Assessor(retriever)

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context, standalone = runtime.context, state["standalone_question"]
        settled, conversation = state["settled"], state["conversation"]
        if context.chosen:
            routing = _as_chosen(context.chosen, standalone)
        elif settled.meant:
            routing = as_meant(settled, standalone, context.agents)
        else:
            routing = await self.route(settled, standalone, conversation, context.agents, context.reader)
        context.recorder.route_chosen(routing.routes, standalone)
        return {"routing": routing}

    async def route(
        self,
        settled: Settled,
        standalone_question: str,
        conversation: Conversation,
        agents: Sequence[Agent],
        reader: Reader,
    ) -> Routing:
        """Raises SearchUnavailable, unless the agent whom the question resembles most answers without a search."""
        if not agents or small_talk(settled.question) or not terms(settled.question):
            return Routing((), ())
        asked = parts(standalone_question)
        whole, *each = await self._assessor.assess(
            settled.question, standalone_question, conversation, agents, reader, asked if len(asked) > 1 else ()
        )
        if whole.weighed.failure is not None:
            return _without_search(whole, agents, whole.weighed.failure)
        if each and (several := _several(each, agents)):
            return several
        needs = [whole]
        if each and all(part.best == whole.best for part in each):
            needs, whole = each, max(whole, *each, key=lambda assessed: assessed.scope)
        even = not each and whole.runner_up is not None and _even(whole, whole.runner_up)
        if settled.between and (whole.scope < IN_SCOPE or even):
            return undecided(settled, standalone_question, agents)
        if whole.scope < IN_SCOPE:
            return Routing((), ())
        if even:
            return _either(whole, standalone_question, agents, may_ask=not settled.replied)
        return _asking((_route(whole, agents),), {Need(need.text, whole.best): need for need in needs})


def _as_chosen(agents: Sequence[str], question: str) -> Routing:
    routes = tuple(Route(agent, 1.0, "Chosen by the client.", RouteMethod.CLIENT) for agent in agents)
    return Routing(routes, tuple(Need(question, agent) for agent in agents))


def _several(each: Sequence[Assessment], agents: Sequence[Agent]) -> Routing | None:
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
    return _asking(routes, {Need(part.text, part.best): part for part in each})


def _asking(routes: tuple[Route, ...], needs: Mapping[Need, Assessment]) -> Routing:
    found = {need: its.weighed.found[need.agent] for need, its in needs.items() if its.weighed.found}
    return Routing(routes, tuple(needs), found=found)


def _even(assessment: Assessment, second: str) -> bool:
    """A follow-up leans on what was spoken of, and is never even."""
    first, other = assessment.shares[assessment.best], assessment.shares[second]
    likely = assessment.confidence(assessment.best) >= LIKELY
    return likely and not assessment.leaning and other >= EVEN * first and first + other >= BETWEEN_THEM


def _either(assessment: Assessment, question: str, agents: Sequence[Agent], may_ask: bool) -> Routing:
    of = {agent.name: agent for agent in agents}
    first, second = assessment.best, str(assessment.runner_up)
    sure = assessment.confidence(first), assessment.confidence(second)
    return either_of((of[first], of[second]), sure, question, RouteMethod.EMBEDDED, may_ask)


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
    held = _written(assessment.weighed.strengths[name].held, assessment.text)
    reason = f"Its documents cover {held}" if held else "It resembles the agent's example questions"
    if assessment.leaning:
        reason += ", and the conversation was about it"
    runner_up = None
    if second is not None:
        runner_up = RunnerUp(second, assessment.confidence(second))
        title = next(agent.title for agent in agents if agent.name == second)
        reason += f"; runner-up {title} {runner_up.confidence:.2f}"
    return Route(name, assessment.confidence(name), reason + ".", runner_up=runner_up)


def _written(held: Sequence[str], text: str) -> str:
    """The terms as the question writes them."""
    words = {reduced(word): word for word in reversed(tokens(text))}
    return ", ".join(f"“{words.get(term, term)}”" for term in held[:4])
