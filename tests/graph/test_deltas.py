"""Planned deltas are what graphql-core makes of them, over many ways to select them."""

from collections.abc import AsyncGenerator
from copy import copy
from typing import Any, cast

import orjson
import pytest
from graphql import Executor, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain import events
from domain.pages import PageRequest
from graph.answers import Answer, Results, answers
from graph.context import DeskContext
from graph.deltas import MAX_INT, DeltaExecutor, DeltaRun, Plan, plan_of
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


def planned(query: str) -> Plan:
    plan = plan_of(executor_of(query))
    assert plan is not None
    return plan


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

    told = await _results(create_schema(), desk, token, query, given)
    plain = copy(create_schema())
    plain.execution_context_class = StrawberryGraphQLCoreExecutionContext
    expected = await _results(plain, desk, token, query, given)

    # As JSON: order is part of GraphQL's answer, though not of a dict's equality.
    assert told == expected
    assert [answer.cursor for answer in told] == list(range(1, len(PIECES) + 5))
    assert not any(b'"errors"' in answer.body for answer in told)
    assert plan_of(executor_of(query)) is not None


@pytest.mark.parametrize("text", ["", "é\u2028\U0001f600", '"\\\n\t\x00', "</script>"])
def test_any_text_is_told_as_it_is(text: str) -> None:
    query = document("seq turnId ... on AnswerDelta { text }")
    data = planned(query)(events.AnswerDelta(MAX_INT, 7, text))
    assert data is not None
    delta = AnswerDelta(seq=MAX_INT, turn_id=global_id("Turn", 7), text=text)  # type: ignore[arg-type]
    plain = executor_of(query, StrawberryGraphQLCoreExecutionContext).build_per_event_executor(delta)
    assert orjson.loads(data) == plain.execute_operation().data


def test_a_number_that_is_no_int_of_graphqls_is_graphql_cores_to_judge() -> None:
    assert planned(document("seq"))(events.AnswerDelta(MAX_INT + 1, 7, "x")) is None
    assert planned(document("turnId"))(events.AnswerDelta(MAX_INT + 1, 7, "x")) is not None


async def test_what_has_no_plan_goes_the_ordinary_way(desk: Desk, token: str, chat: str) -> None:
    """A run gives back what its plan does not take, and goes on behind it."""
    context = DeskContext(desk.services, token, "127.0.0.1", "request")
    plan = planned(document("seq"))
    deltas = [events.AnswerDelta(seq, 7, "x") for seq in (MAX_INT - 1, MAX_INT, MAX_INT + 1)]
    waiting: list[events.TurnEvent] = list(deltas)
    run = DeltaRun(context, plan, waiting, _nothing())
    assert [seq for seq, _ in await run.read()] == [MAX_INT - 1, MAX_INT]
    assert await run.read() == []
    assert waiting == deltas[2:]


def test_several_subscriptions_at_once_are_not_planned() -> None:
    query = "subscription ($turn: ID!) { a: resumeTurn(turnId: $turn) { seq } b: resumeTurn(turnId: $turn) { seq } }"
    assert plan_of(executor_of(query)) is None


async def _nothing() -> AsyncGenerator[Any, None]:
    return
    yield


async def _results(schema: Any, desk: Desk, token: str, query: str, variables: Any) -> list[Answer]:
    context = DeskContext(desk.services, token, "127.0.0.1", "request")
    stream = await schema.stream(query, variable_values=variables, context_value=context)
    return [answer async for together in answers(cast("Results", stream), context) for answer in together]


async def _end(desk: Desk, viewer: Any, turn_id: int) -> None:
    async for _ in desk.services.turns.follow(viewer, turn_id):
        pass
