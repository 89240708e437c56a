"""The workflow, compiled once: recall → rewrite → route → retrieve (one run a need) → answer → cite."""

from collections.abc import Awaitable, Callable

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from domain.agents.answering import Answering, ModelError
from domain.agents.catalog import AgentCatalog
from domain.agents.citations import cite
from domain.agents.memory import Memory
from domain.agents.patience import ORDINARY, Patience
from domain.agents.retrieval import Retrieval, RetrievalTask
from domain.agents.rewriting import Rewriter
from domain.agents.routing import Router
from domain.agents.state import Draft, TurnContext, TurnState
from domain.ports import History, Retriever


def build_workflow(
    history: History,
    retriever: Retriever,
    catalog: AgentCatalog,
    model: BaseChatModel,
    model_name: str,
    model_error: ModelError,
    patience: Patience = ORDINARY,
) -> Callable[[TurnContext], Awaitable[Draft]]:
    """What runs one turn. Deltas go to `TurnContext.recorder`; the draft is returned when all is written."""
    graph = StateGraph(TurnState, context_schema=TurnContext)
    graph.add_node("recall", Memory(history))
    graph.add_node("rewrite", Rewriter(retriever))
    graph.add_node("route", Router(retriever))
    graph.add_node("retrieve", Retrieval(retriever), input_schema=RetrievalTask)
    graph.add_node("answer", Answering(model, model_name, model_error, catalog, patience))
    graph.add_node("cite", cite)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "rewrite")
    graph.add_edge("rewrite", "route")
    graph.add_conditional_edges("route", _fan_out, ["retrieve", "answer"])
    graph.add_edge("retrieve", "answer")
    graph.add_edge("answer", "cite")
    graph.add_edge("cite", END)
    compiled = graph.compile()

    async def run(context: TurnContext) -> Draft:
        state = await compiled.ainvoke({}, context=context)
        draft: Draft = state["draft"]
        return draft

    return run


def _fan_out(state: TurnState) -> list[Send] | str:
    needs = state["routing"].needs
    return [Send("retrieve", RetrievalTask(need=need)) for need in needs] or "answer"
