"""The agents of the desk, and why one was asked."""

import strawberry

from domain import model
from domain.agents import catalog
from domain.model import RouteMethod
from graph.context import Info

strawberry.enum(
    RouteMethod,
    description="Who decided that an agent is asked: the embedded router, a language model, the client by naming it, or the "
    "user in reply to the desk's question which of two agents is meant (REPLY). CLARIFICATION: nobody was asked yet, and "
    "the answer is that question.",
)


@strawberry.type(description="A specialised agent that answers from a knowledge base of its own.")
class Agent:
    name: str = strawberry.field(description="What `SendMessageInput.agents` calls it.")
    title: str = strawberry.field(description="What people read.")
    description: str = strawberry.field(description="What it knows.")

    @classmethod
    def of(cls, agent: catalog.Agent) -> "Agent":
        return cls(name=agent.name, title=agent.title, description=agent.description)


@strawberry.type(description="Who would have been asked next.")
class RunnerUp:
    confidence: float = strawberry.field(description="On the scale of its route's.")
    agent_name: strawberry.Private[str]

    @strawberry.field(description="An agent that the desk no longer has still shows its name.")
    def agent(self, info: Info) -> Agent:
        return _named(self.agent_name, info)

    @classmethod
    def of(cls, second: model.RunnerUp) -> "RunnerUp":
        return cls(confidence=second.confidence, agent_name=second.agent)


@strawberry.type(description="Why this agent was asked.")
class Route:
    confidence: float = strawberry.field(description="How sure the router was, from 0 to 1.")
    reason: str
    method: RouteMethod = strawberry.field(description="Who decided it.")
    runner_up: RunnerUp | None = strawberry.field(
        description="Who would have been asked next; null where nobody else was weighed."
    )
    agent_name: strawberry.Private[str]

    @strawberry.field(description="An agent that the desk no longer has still shows its name.")
    def agent(self, info: Info) -> Agent:
        return _named(self.agent_name, info)

    @classmethod
    def of(cls, route: model.Route) -> "Route":
        second = route.runner_up
        return cls(
            confidence=route.confidence,
            reason=route.reason,
            method=route.method,
            runner_up=RunnerUp.of(second) if second else None,
            agent_name=route.agent,
        )


def _named(name: str, info: Info) -> Agent:
    try:
        return Agent.of(info.context.services.agents.get(name))
    except KeyError:
        return Agent(name=name, title=name, description="")


@strawberry.type
class AgentQuery:
    @strawberry.field(description="The agents that this viewer's questions may be sent to.")
    async def agents(self, info: Info) -> list[Agent]:
        viewer = await info.context.viewer()
        return [Agent.of(agent) for agent in info.context.services.agents.visible_to(viewer.username)]
