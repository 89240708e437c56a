"""The workflow, a LangGraph graph, made once: recall → rewrite → route → retrieve (one run a need), then answer, cite.

The graph decides what is answered and from what; the answer is written when its run is over, so that nothing of
LangGraph's is held for each answer while tokens flow (docs/decisions/0051). What does nothing is passed over
(docs/decisions/0059): `rewrite` at the beginning of a conversation, `retrieve` for needs that the router searched for.

What asks for the user's own words (`recollect`) needs none of what comes after `recall`. Where a model decides, `decide`
stands before `rewrite`: it takes the place of both `rewrite` and `route`, or of the first, or of neither.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END
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
from domain.agents.steps import Goto, Onward, Steps
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
    router, retrieval = Router(retriever), Retrieval(retriever, catalog, reranker)
    begin: Onward = _undecided if decider is None else lambda state, context: "decide"

    def recalled(state: TurnState, context: TurnContext) -> Goto:
        return "recollect" if asks_what_was_said(context.question.text) else begin(state, context)

    def recollected(state: TurnState, context: TurnContext) -> Goto:
        return END if "draft" in state else begin(state, context)

    async def route(state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        told = await router(state, runtime)
        return {**told, "evidence": retrieval.of_found(told["routing"])}

    steps = Steps(first="recall")
    open_ways = ("rewrite", "route") if decider is None else ("decide",)
    steps.add("recall", Memory(history, summaries), recalled, "recollect", *open_ways)
    steps.add("recollect", recollect, recollected, *open_ways, END)
    if decider is not None:
        steps.add("decide", decider, _undecided, "rewrite", "route", "retrieve", END)
    steps.add("rewrite", Rewriter(retriever), lambda state, context: "route", "route")
    steps.add("route", route, _fan_out, "retrieve", END)
    steps.add_sent("retrieve", retrieval, RetrievalTask)
    decide = steps.ready()
    own = {agent: Answering(its.chat, its.name, model_error, catalog, patience) for agent, its in of_agents.items()}
    answerers = _Answerers(Answering(model, model_name, model_error, catalog, patience), own)

    async def run(context: TurnContext) -> Draft:
        try:
            state = _answered_from(await decide(context))
            draft = state.get("draft") or await cite(await answerers.answer(state, context), state, context)
        finally:
            if summaries is not None:
                summaries.catch_up(context.question.chat_id)
        return replace(draft, usage=_together(state.get("decisions_cost", Usage(0, 0)), draft.usage))

    return run


def _answered_from(state: TurnState) -> TurnState:
    """Without what else was found: it need not be held while the answer streams."""
    return {**state, "routing": replace(state["routing"], found=MappingProxyType({}))}


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


def _undecided(state: TurnState, context: TurnContext) -> Goto:
    """What is left open, by the conversation and by a model. The router asks the documents, which the model has not
    read, before it says that no agent holds the answer."""
    if "routing" in state:
        return _fan_out(state, context)
    return "route" if "standalone_question" in state else "rewrite"


def _fan_out(state: TurnState, context: TurnContext) -> Goto:
    """A search for each need that nobody has searched for."""
    routing = state["routing"]
    known = {evidence.need for evidence in state.get("evidence", ())}
    tasks = [RetrievalTask(need=need, found=routing.found.get(need)) for need in routing.needs if need not in known]
    return [Send("retrieve", task) for task in tasks] or END
