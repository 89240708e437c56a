"""Where nobody listens, steps are run as LangGraph runs them: the same nodes, states and failures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Send

from domain.agents.state import Evidence, Need, TurnContext, TurnState
from domain.agents.steps import Goto, Node, Onward, Steps
from domain.model import Usage
from tests.domain.agents.test_answering import Written
from tests.domain.agents.turns import asking

NAMES = ("a", "b", "c", "d")
MAX_SENT = 3


class Trail:
    """Which nodes ran, with what."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, Any]] = []

    def node(self, name: str, told: Mapping[str, Any] | Exception) -> Node:
        async def run(state: Any, runtime: Runtime[TurnContext]) -> TurnState:
            self.ran.append((name, {**state}))
            assert runtime.context.question.text == "What?"
            await asyncio.sleep(0)
            if isinstance(told, Exception):
                raise told
            return told  # type: ignore[return-value]

        return run


def context() -> TurnContext:
    return asking("What?", (), Written())


async def outcome(run: Callable[[TurnContext], Awaitable[TurnState]], trail: Trail) -> tuple[Any, ...]:
    """What comes of a run, and its trail, of which the last step's may have run in any order."""
    try:
        state: Any = await run(context())
    except Exception as failure:
        return repr(failure), [name for name, _ in trail.ran]
    return state, trail.ran


async def both(build: Callable[[Trail], Steps]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    ours, theirs = Trail(), Trail()
    unheard = await outcome(build(ours).ready(), ours)
    run = build(theirs).ready()

    async def heard(turn: TurnContext) -> TurnState:
        told: TurnState = await RunnableLambda(run).ainvoke(turn, {"callbacks": [AsyncCallbackHandler()]})
        return told

    return unheard, await outcome(heard, theirs)


EVIDENCE = st.lists(st.builds(lambda name: Evidence(Need(name, "x"), ()), st.sampled_from("pqr")), max_size=2)
TOLD = st.fixed_dictionaries(
    {"standalone_question": st.text("xyz", max_size=2)},
    optional={
        "decisions_cost": st.builds(Usage, st.integers(0, 3), st.integers(0, 3)),
        "evidence": EVIDENCE,
    },
)
SENT = st.fixed_dictionaries({}, optional={"evidence": EVIDENCE})
FAILING = st.builds(ValueError, st.just("broken"))


@given(
    told=st.tuples(*[st.one_of(TOLD, TOLD, TOLD, FAILING)] * len(NAMES)),
    ways=st.tuples(*[st.sampled_from(["on", "skip", "end", "send"])] * len(NAMES)),
    sent=st.lists(SENT, min_size=1, max_size=MAX_SENT),
    broken=st.sampled_from([None, None, 0, 1]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_steps_tell_and_run_the_same(
    told: tuple[Any, ...], ways: tuple[str, ...], sent: list[dict[str, Any]], broken: int | None
) -> None:
    def build(trail: Trail) -> Steps:
        steps = Steps("a")
        for place, name in enumerate(NAMES):
            steps.add(name, trail.node(name, told[place]), leading(place), *NAMES[place + 1 :], "sent", END)

        async def take(state: Any, runtime: Runtime[TurnContext]) -> TurnState:
            number = state["number"]
            failing = broken is not None and number == min(broken, len(sent) - 1)
            return await trail.node("sent", ValueError(f"{number}") if failing else sent[number])(state, runtime)

        steps.add_sent("sent", take, dict)
        return steps

    def leading(place: int) -> Onward:
        def onward(state: TurnState, turn: TurnContext) -> Goto:
            later = NAMES[place + 1 :]
            if ways[place] == "send":
                return [Send("sent", {"number": number}) for number in range(len(sent))]
            if ways[place] == "end" or not later:
                return END
            return later[-1] if ways[place] == "skip" else later[0]

        return onward

    unheard, heard = asyncio.run(both(build))
    assert unheard == heard


async def test_a_failure_ends_what_runs_beside_it() -> None:
    ended: list[str] = []

    def build(_: Trail) -> Steps:
        async def first(state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
            return {}

        async def take(state: Any, runtime: Runtime[TurnContext]) -> TurnState:
            if state["fails"]:
                raise ValueError("broken")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return {}

        steps = Steps("a")
        steps.add("a", first, lambda state, turn: [Send("sent", {"fails": fails}) for fails in (False, True)], "sent")
        steps.add_sent("sent", take, dict)
        return steps

    unheard, heard = await both(build)
    assert unheard == heard == (repr(ValueError("broken")), [])
    assert ended == ["cancelled"] * 2


@pytest.mark.parametrize("heard", [False, True])
async def test_who_listens_sees_the_graph_run(heard: bool) -> None:
    names: list[str] = []

    class Listening(AsyncCallbackHandler):
        async def on_chain_start(self, *_: Any, name: str = "", **__: Any) -> None:
            names.append(name)

    trail = Trail()
    steps = Steps("a")
    steps.add("a", trail.node("a", {}), lambda state, turn: END, END)
    await RunnableLambda(steps.ready()).ainvoke(context(), {"callbacks": [Listening()] if heard else []})
    assert [name for name, _ in trail.ran] == ["a"]
    assert ("LangGraph" in names) is heard
