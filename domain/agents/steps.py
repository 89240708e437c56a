"""A LangGraph graph whose nodes say themselves where they lead, and who runs it.

For each step LangGraph's engine makes channels, a checkpoint, configurations, callback managers and a task: a fifth of all
that is done before a turn's first token, and nobody sees it where nobody listens. There the same nodes are run here,
from the same table; else LangGraph runs them, whose state, rules of merging and drawing of the graph are the ones that
count. tests/domain/agents/test_steps.py holds both equal (docs/decisions/0059).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast, get_origin, get_type_hints

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from domain.agents.listening import anybody_listens
from domain.agents.state import TurnContext, TurnState

Node = Callable[[Any, Runtime[TurnContext]], Awaitable[TurnState]]
"""Given the state, or what it is sent."""
Goto = list[Send] | str
Onward = Callable[[TurnState, TurnContext], Goto]
"""Where it goes on with this state: to a node, to runs of one that is sent something of its own, or to END."""

_HINTS = get_type_hints(TurnState, include_extras=True)
_MERGED: Mapping[str, Callable[[Any, Any], Any]] = {
    name: hint.__metadata__[0] for name, hint in _HINTS.items() if hasattr(hint, "__metadata__")
}
"""How what is told is put together with what was there; without one it takes its place."""
_BEGINNING: Mapping[str, type] = {name: get_origin(_HINTS[name].__origin__) for name in _MERGED}
"""Of which kind what is put together is; there is an empty one from the beginning."""


class Steps:
    """Nodes by their names, the `first` of which begins."""

    def __init__(self, first: str) -> None:
        self._first = first
        self._nodes: dict[str, Node] = {}
        self._onward: dict[str, Onward] = {}
        self._graph = StateGraph(TurnState, context_schema=TurnContext)
        self._graph.add_edge(START, first)

    def add(self, name: str, node: Node, onward: Onward, *ways: str) -> None:
        """`ways` are where `onward` may lead: a drawing shows them."""

        async def run(state: TurnState, runtime: Runtime[TurnContext]) -> Command[str]:
            told = await node(state, runtime)
            return Command(update=told, goto=onward(_merged(state, told), runtime.context))

        self._nodes[name], self._onward[name] = node, onward
        self._graph.add_node(name, run, destinations=ways)

    def add_sent(self, name: str, node: Node, taking: type) -> None:
        """One that is sent what it takes, once or several times together, and ends the run. It tells nothing but what is
        put together."""

        async def run(state: Any, runtime: Runtime[TurnContext]) -> TurnState:
            return await node(state, runtime)

        self._nodes[name] = node
        self._graph.add_node(name, run, input_schema=taking)
        self._graph.add_edge(name, END)

    def ready(self) -> Callable[[TurnContext], Awaitable[TurnState]]:
        """What runs the whole, once all nodes are there."""
        compiled = self._graph.compile()

        async def run(context: TurnContext) -> TurnState:
            if anybody_listens():
                return cast("TurnState", await compiled.ainvoke({}, context=context))
            return await self._walk(context)

        return run

    async def _walk(self, context: TurnContext) -> TurnState:
        runtime = Runtime(context=context)
        state = cast("TurnState", {name: kind() for name, kind in _BEGINNING.items()})
        goto: Goto = self._first
        while goto != END:
            if isinstance(goto, str):
                state = _merged(state, await self._nodes[goto](state, runtime))
                goto = self._onward[goto](state, context)
            else:
                for told in await _together([self._nodes[send.node](send.arg, runtime) for send in goto]):
                    state = _merged(state, told)
                goto = END
        return state


def _merged(state: TurnState, told: TurnState) -> TurnState:
    both: dict[str, Any] = {**state}
    for name, value in told.items():
        merge = _MERGED.get(name)
        both[name] = value if merge is None else merge(both[name], value)
    return cast("TurnState", both)


async def _together(runs: Sequence[Awaitable[TurnState]]) -> Sequence[TurnState]:
    """What each tells, in their order. The first failure ends the others, and is raised."""
    if len(runs) == 1:
        return [await runs[0]]
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
