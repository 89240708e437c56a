"""The agents of the desk, and why one was asked."""

import strawberry

from domain import model
from domain.agents import catalog
from domain.model import RouteMethod
from graph.context import Info

strawberry.enum(
    RouteMethod,
    description="Who decided that an agent is asked: the embedded router, a language model, or the client by naming it.",
)


@strawberry.type(description="A specialised agent that answers from a knowledge base of its own.")
class Agent:
    name: str = strawberry.field(description="What `SendMessageInput.agents` calls it.")
    title: str = strawberry.field(description="What people read.")
    description: str = strawberry.field(description="What it knows.")

    @classmethod
    def of(cls, agent: catalog.Agent) -> "Agent":
        return cls(name=agent.name, title=agent.title, description=agent.description)


@strawberry.type(description="Why this agent was asked.")
class Route:
    confidence: float = strawberry.field(description="How sure the router was, from 0 to 1.")
    reason: str
    method: RouteMethod = strawberry.field(description="Who decided it.")
    agent_name: strawberry.Private[str]

    @strawberry.field(description="An agent that the desk no longer has still shows its name.")
    def agent(self, info: Info) -> Agent:
        try:
            return Agent.of(info.context.services.agents.get(self.agent_name))
        except KeyError:
            return Agent(name=self.agent_name, title=self.agent_name, description="")

    @classmethod
    def of(cls, route: model.Route) -> "Route":
        return cls(confidence=route.confidence, reason=route.reason, method=route.method, agent_name=route.agent)


@strawberry.type
class AgentQuery:
    @strawberry.field(description="The agents that this viewer's questions may be sent to.")
    async def agents(self, info: Info) -> list[Agent]:
        viewer = await info.context.viewer()
        return [Agent.of(agent) for agent in info.context.services.agents.visible_to(viewer.username)]
