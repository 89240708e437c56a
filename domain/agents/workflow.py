"""The workflow, compiled once: recall → rewrite → route → retrieve (one run a need), then answer and cite.

The graph decides what is answered and from what; the answer is written when its run is over, so that nothing of
LangGraph's is held for each answer while tokens flow (docs/decisions/0051).

What asks for the user's own words (`recollect`) needs none of what comes after `recall`. Where a model decides, `decide`
stands before `rewrite`: it takes the place of both `rewrite` and `route`, or of the first, or of neither.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from domain.agents.answering import Answering, DirectModel, ModelError
from domain.agents.catalog import AgentCatalog
from domain.agents.deciding import Decider
from domain.agents.grounding import cite
from domain.agents.memory import Memory
from domain.agents.patience import ORDINARY, Patience
from domain.agents.recollection import asks_what_was_said, recollect
from domain.agents.reranking import Reranker
from domain.agents.retrieval import Retrieval, RetrievalTask
from domain.agents.rewriting import Rewriter
from domain.agents.routing import Router
from domain.agents.state import Draft, TurnContext, TurnState
from domain.agents.summaries import Summaries
from domain.model import Usage
from domain.ports import History, Retriever


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """A model that writes answers, and what it is called."""

    chat: BaseChatModel | DirectModel
    name: str


def build_workflow(
    history: History,
    retriever: Retriever,
    catalog: AgentCatalog,
    model: BaseChatModel | DirectModel,
    model_name: str,
    model_error: ModelError,
    patience: Patience = ORDINARY,
    decider: Decider | None = None,
    of_agents: Mapping[str, AnswerModel] = MappingProxyType({}),
    reranker: Reranker | None = None,
    summaries: Summaries | None = None,
) -> Callable[[TurnContext], Awaitable[Draft]]:
    """What runs one turn. Deltas go to `TurnContext.recorder`; the draft is returned when all is written. Without a
    `decider` no model decides. `of_agents` are the models of those agents that have their own, whose exceptions
    `model_error` reads too. A `reranker` orders passages before they are shown. `summaries` are what is known of long
    chats; without them, their last messages alone."""
    graph = StateGraph(TurnState, context_schema=TurnContext)
    graph.add_node("recall", Memory(history, summaries))
    graph.add_node("recollect", recollect)
    graph.add_node("rewrite", Rewriter(retriever))
    graph.add_node("route", Router(retriever))
    graph.add_node("retrieve", Retrieval(retriever, catalog, reranker), input_schema=RetrievalTask)
    graph.add_edge(START, "recall")
    begin = "rewrite" if decider is None else "decide"
    graph.add_conditional_edges("recall", _recollecting, {True: "recollect", False: begin})
    graph.add_conditional_edges("recollect", _answered, {True: END, False: begin})
    if decider is not None:
        graph.add_node("decide", decider)
        graph.add_conditional_edges("decide", _undecided, ["rewrite", "route", "retrieve", END])
    graph.add_edge("rewrite", "route")
    graph.add_conditional_edges("route", _fan_out, ["retrieve", END])
    graph.add_edge("retrieve", END)
    compiled = graph.compile()
    own = {agent: Answering(its.chat, its.name, model_error, catalog, patience) for agent, its in of_agents.items()}
    answerers = _Answerers(Answering(model, model_name, model_error, catalog, patience), own)

    async def run(context: TurnContext) -> Draft:
        try:
            state = cast("TurnState", await compiled.ainvoke({}, context=context))
            draft = state.get("draft") or await cite(await answerers.answer(state, context), state, context)
        finally:
            if summaries is not None:
                summaries.catch_up(context.question.chat_id)
        return replace(draft, usage=_together(state.get("decisions_cost", Usage(0, 0)), draft.usage))

    return run


def _together(decided: Usage, answered: Usage | None) -> Usage | None:
    """What is known of both; None when nothing is."""
    return decided + answered if answered else decided if decided != Usage(0, 0) else answered


class _Answerers:
    """One agent's own model, where no other agent is asked with it; the desk's otherwise."""

    def __init__(self, ordinary: Answering, own: Mapping[str, Answering]) -> None:
        self._ordinary = ordinary
        self._own = own

    async def answer(self, state: TurnState, context: TurnContext) -> Draft:
        routes = state["routing"].routes
        answering = self._own.get(routes[0].agent, self._ordinary) if len(routes) == 1 else self._ordinary
        return await answering.answer(state, context)


async def _recollecting(state: TurnState, runtime: Runtime[TurnContext]) -> bool:
    return asks_what_was_said(runtime.context.question.text)


async def _answered(state: TurnState) -> bool:
    return "draft" in state


async def _undecided(state: TurnState) -> list[Send] | str:
    """What the model left open. The router asks the documents, which the model has not read, before it says that no
    agent holds the answer."""
    if "routing" in state:
        return await _fan_out(state)
    return "route" if "standalone_question" in state else "rewrite"


async def _fan_out(state: TurnState) -> list[Send] | str:
    """A coroutine, since LangGraph runs a function in a thread."""
    routing = state["routing"]
    tasks = [RetrievalTask(need=need, found=routing.found.get(need)) for need in routing.needs]
    return [Send("retrieve", task) for task in tasks] or END
