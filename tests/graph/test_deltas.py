"""Planned deltas are what graphql-core makes of them, over many ways to select them."""

from collections.abc import AsyncGenerator
from copy import copy
from typing import Any, cast

import pytest
from graphql import Executor, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionResult

from domain.pages import PageRequest
from graph.context import DeskContext
from graph.deltas import MAX_INT, DeltaExecutor, plan_of
from graph.events import AnswerDelta
from graph.schema import create_schema
from tests.graph.desk import PIECES, Desk, global_id

FRAGMENTS = """
fragment Whole on TurnEvent { __typename seq turnId ...Text ... on TurnCompleted { message { text sources { title } } } }
fragment Text on AnswerDelta { text }
"""
SELECTIONS = [
    "seq",
    "__typename",
    "__typename seq turnId ... on AnswerDelta { text }",
    "... on AnswerDelta { text seq turnId __typename }",
    "n: seq kind: __typename also: __typename ... on AnswerDelta { words: text again: text }",
    "... on TurnEvent { seq } ... on AnswerDelta { seq text } ... { turnId }",
    "... on TurnStarted { userMessage { text } }",
    "... on TurnStarted { userMessage { text } } ... on RouteChosen { routes { agent { name } confidence } }",
    "...Whole",
    "...Text seq ...Whole",
    "... on AnswerDelta { ...Text ... on TurnEvent { seq ... on AnswerDelta { n: seq } } }",
    "seq seq ... on AnswerDelta { text text }",
    "seq @include(if: true) turnId @skip(if: true) ... on AnswerDelta { text @skip(if: false) }",
    "... on AnswerDelta @include(if: $yes) { text } turnId @include(if: $no) seq @skip(if: $no)",
    "...Whole @skip(if: $yes) seq",
    "... on AnswerDelta @skip(if: $yes) { text } __typename",
    "... on AnswerDelta { text } ... on TurnEnded { status error { code } message { turn { status } } }",
]
ROOTS = ["{ %s }", "{ events: %s }"]


def document(selection: str, root: str = "{ %s }") -> str:
    used = FRAGMENTS if "...Whole" in selection else FRAGMENTS[FRAGMENTS.index("fragment Text") :]
    variables = "($turn: ID!" + "".join(f", ${name}: Boolean!" for name in ("yes", "no") if f"${name}" in selection)
    fields = root % f"resumeTurn(turnId: $turn) {{ {selection} }}"
    return f"subscription {variables}) {fields}" + (used if "...Whole" in selection or "...Text" in selection else "")


def executor_of(query: str, executor: type[StrawberryGraphQLCoreExecutionContext] = DeltaExecutor) -> Any:
    variables = {"turn": global_id("Turn", 7), "yes": True, "no": False}
    built = executor.build(create_schema()._schema, parse(query), raw_variable_values=variables)
    assert isinstance(built, Executor), built
    return built


def rendered(query: str, delta: AnswerDelta, executor: type[StrawberryGraphQLCoreExecutionContext]) -> Any:
    result = executor_of(query, executor).build_per_event_executor(delta).execute_operation()
    return result.data, [error.message for error in result.errors or ()]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("selection", SELECTIONS)
async def test_a_turn_is_the_same_planned_and_not(desk: Desk, token: str, chat: str, selection: str, root: str) -> None:
    viewer = await desk.services.accounts.authenticate(token)
    (session,) = (await desk.services.chats.list(viewer, PageRequest.of(first=1))).items
    turn = await desk.services.turns.send(viewer, session.id, "What does Nano cost?")
    await _end(desk, viewer, turn.id)
    query = document(selection, root)
    variables = {"turn": global_id("Turn", turn.id), "yes": True, "no": False}
    given = {name: value for name, value in variables.items() if f"${name}" in query}

    planned = await _results(create_schema(), desk, token, query, given)
    plain = copy(create_schema())
    plain.execution_context_class = StrawberryGraphQLCoreExecutionContext
    expected = await _results(plain, desk, token, query, given)

    assert planned == expected
    assert len(planned) == len(PIECES) + 4
    assert not any(errors for _, errors in planned)
    # Order is part of GraphQL's answer, though not of a dict's equality.
    assert [str(data) for data, _ in planned] == [str(data) for data, _ in expected]
    assert plan_of(executor_of(query)) is not None


@pytest.mark.parametrize(
    "delta",
    [
        AnswerDelta(seq=MAX_INT, turn_id="t", text="é\u2028\ud83d"),  # type: ignore[arg-type]
        AnswerDelta(seq=MAX_INT + 1, turn_id="t", text="x"),  # type: ignore[arg-type]
        AnswerDelta(seq=True, turn_id="t", text="x"),  # type: ignore[arg-type]
        AnswerDelta(seq=None, turn_id="t", text="x"),  # type: ignore[arg-type]
        AnswerDelta(seq=1, turn_id=7, text="x"),  # type: ignore[arg-type]
        AnswerDelta(seq=1, turn_id="t", text=None),  # type: ignore[arg-type]
        AnswerDelta(seq=1, turn_id="t", text=5),  # type: ignore[arg-type]
    ],
    ids=lambda delta: repr((delta.seq, delta.turn_id, delta.text)),
)
def test_a_value_that_is_not_what_its_type_says_is_graphql_cores_to_judge(delta: AnswerDelta) -> None:
    query = document("seq turnId ... on AnswerDelta { text }")
    assert rendered(query, delta, DeltaExecutor) == rendered(query, delta, StrawberryGraphQLCoreExecutionContext)


def test_a_plan_is_made_once_for_an_operation() -> None:
    executor, plans = executor_of(document("seq")), []
    for seq in (1, 2):
        executor.build_per_event_executor(AnswerDelta(seq=seq, turn_id="t", text="x"))  # type: ignore[arg-type]
        plans.append(executor._plan)
    assert plans[0] is not None
    assert plans[0] is plans[1]


def test_several_subscriptions_at_once_are_not_planned() -> None:
    query = "subscription ($turn: ID!) { a: resumeTurn(turnId: $turn) { seq } b: resumeTurn(turnId: $turn) { seq } }"
    assert plan_of(executor_of(query)) is None


async def _results(schema: Any, desk: Desk, token: str, query: str, variables: Any) -> list[tuple[Any, Any]]:
    context = DeskContext(desk.services, token, "127.0.0.1", "request")
    stream = await schema.stream(query, variable_values=variables, context_value=context)
    results = cast("AsyncGenerator[ExecutionResult, None]", stream)
    return [(result.data, result.errors) async for result in results]


async def _end(desk: Desk, viewer: Any, turn_id: int) -> None:
    async for _ in desk.services.turns.follow(viewer, turn_id):
        pass
