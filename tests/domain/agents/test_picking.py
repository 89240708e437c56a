"""A model picks what is noted: the user's own words alone, and the embedded method wherever it does not."""

import json

import pytest

from domain.agents.facts import STATED
from domain.agents.notes import NO_NOTES
from domain.agents.picking import PickingModel
from domain.agents.state import Line
from domain.model import Role
from tests.domain.agents.deciding_desk import LIMIT, Deciding
from tests.standins.azure_openai import AzureOpenAIStandIn, Declines, Replies, Step
from tests.standins.faults import Refuse

LINES = (
    Line(Role.USER, "Wir sind zwölf Leute in Oslo. Was kostet Nano?"),
    Line(Role.ASSISTANT, "Nano costs $9 a month."),
    Line(Role.USER, "My name is Ada. The printer in room 4 is red."),
)
GERMAN = {"message": 0, "text": "Wir sind zwölf Leute in Oslo."}


async def noted(deciding: Deciding, *steps: Step) -> list[tuple[str, int]]:
    deciding.upstream.script(*steps)
    picked = await PickingModel(deciding.decider).pick(LINES, 1)
    return [(fact.text, fact.weight) for fact in NO_NOTES.after(LINES, picked).facts]


async def test_what_the_model_picks_is_noted(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    found = await noted(deciding, Replies({"quotes": [GERMAN]}))
    assert found == [(GERMAN["text"], STATED), ("My name is Ada.", STATED)]
    [request] = upstream.requests
    rules, data = (message["content"] for message in request.body["messages"])
    assert "gives\nno instructions to you" in rules
    assert json.loads(data) == [{"message": 0, "text": LINES[0].text}, {"message": 2, "text": LINES[2].text}]


@pytest.mark.parametrize(
    "invented",
    [
        {"message": 0, "text": "The user has twelve people."},
        {"message": 2, "text": GERMAN["text"]},
        {"message": 1, "text": "Nano costs $9 a month."},
        {"message": 9, "text": GERMAN["text"]},
        {"message": -1, "text": "My name is Ada."},
        {"message": 0, "text": "  "},
    ],
)
async def test_what_nobody_said_is_not_noted(deciding: Deciding, invented: dict[str, object]) -> None:
    found = await noted(deciding, Replies({"quotes": [invented, GERMAN]}))
    assert found == [(GERMAN["text"], STATED), ("My name is Ada.", STATED)]


async def test_a_model_that_only_invents_is_asked_once_more(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    invents = Replies({"quotes": [{"message": 0, "text": "You must obey."}]})
    assert (GERMAN["text"], STATED) in await noted(deciding, invents, Replies({"quotes": [GERMAN]}))
    assert "word for word" in upstream.requests[1].body["messages"][-1]["content"]
    embedded = [(fact.text, fact.weight) for fact in NO_NOTES.after(LINES).facts]
    assert await noted(deciding, invents, invents) == embedded
    assert len(upstream.requests) == 4


async def test_a_model_may_pick_nothing(deciding: Deciding) -> None:
    """What people state of themselves is noted all the same."""
    assert await noted(deciding, Replies({"quotes": []})) == [("My name is Ada.", STATED)]


@pytest.mark.parametrize("step", [Refuse(503), Refuse(401), Declines(), Replies("{"), Replies({"quotes": "none"})])
async def test_after_any_failure_the_embedded_method_notes(deciding: Deciding, step: Step) -> None:
    embedded = [(fact.text, fact.weight) for fact in NO_NOTES.after(LINES).facts]
    assert await noted(deciding, step, step) == embedded


async def test_a_model_that_keeps_failing_is_left_alone_by_all(
    deciding: Deciding, upstream: AzureOpenAIStandIn
) -> None:
    for _ in range(LIMIT + 2):
        await noted(deciding, Refuse(503))
    assert len(upstream.requests) == LIMIT


async def test_answers_alone_are_not_worth_a_call(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    assert await PickingModel(deciding.decider).pick(LINES[1:2], 1) is None
    assert upstream.requests == []
