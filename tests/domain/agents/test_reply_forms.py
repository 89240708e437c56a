"""The form in which a model is asked for a decision: a call of a tool, JSON by a schema, or JSON in plain text."""

import json
from typing import Any

import pytest

from domain.agents.reply_forms import DOUBTFUL, KNOWN, SURE, UNKNOWN, ReplyForm, ReplyForms
from domain.model import RouteMethod
from providers.fallback import Deployments
from tests.domain.agents.deciding_desk import GOOD, SHORT, TOMATOES, Deciding
from tests.domain.agents.small_desks import Desk
from tests.standins.azure_openai import AzureOpenAIStandIn, Declines, Replies, Step
from tests.standins.faults import FilterPrompt, Hang, Refuse

BOOK = "How long may I keep a book?"
BY_MODEL = [("library", RouteMethod.MODEL)]
EMBEDDED = [("garden", RouteMethod.EMBEDDED)]
PROSE = "I would ask the garden."
TOOL, JSON_SCHEMA, TEXT = ReplyForm
REFUSED = Refuse(400)


def asked_in(upstream: AzureOpenAIStandIn) -> list[ReplyForm]:
    """The form of each request."""
    forms = {"tools": TOOL, "response_format": JSON_SCHEMA}
    return [next((form for name, form in forms.items() if name in it.body), TEXT) for it in upstream.requests]


def rules(upstream: AzureOpenAIStandIn, request: int = -1) -> str:
    return str(upstream.requests[request].body["messages"][0]["content"])


@pytest.mark.parametrize("form", ReplyForm)
async def test_a_decision_comes_in_the_form_that_the_settings_name(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn, form: ReplyForm
) -> None:
    deciding = Deciding(small_desk, deciding_model, upstream, form=form)
    await deciding.ask(BOOK, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    await deciding.ask(TOMATOES, PROSE, PROSE)
    assert deciding.routes == EMBEDDED
    assert asked_in(upstream) == [form] * 3, "and in no other"
    told = {TOOL: "call of `decide`", JSON_SCHEMA: "one JSON object, and", TEXT: "of this JSON Schema"}
    assert told[form] in rules(upstream)


@pytest.mark.parametrize("strict", [True, False])
async def test_a_schema_is_strict_or_has_bounds(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn, strict: bool
) -> None:
    """The stand-in refuses a strict one with bounds, as the services do."""
    deciding = Deciding(small_desk, deciding_model, upstream, form=JSON_SCHEMA, strict=strict)
    deciding.history.tell(TOMATOES, "Every second morning.")
    await deciding.ask(BOOK, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    described = upstream.requests[-1].body["response_format"]["json_schema"]
    assert (described["name"], described.get("strict", False)) == ("decide", strict)
    assert ("maxLength" in json.dumps(described)) is not strict
    assert described["schema"]["required"] == ["question", "routes", "alternative"]


@pytest.mark.parametrize("sign", [PROSE, REFUSED, Refuse(422), Refuse(501)], ids=repr)
async def test_where_tools_are_passed_over_or_refused_the_schema_is_next(
    deciding: Deciding, upstream: AzureOpenAIStandIn, sign: Step
) -> None:
    await deciding.ask(BOOK, sign, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    await deciding.ask(BOOK, Replies(GOOD))
    assert asked_in(upstream) == [TOOL, JSON_SCHEMA, JSON_SCHEMA], "what works is remembered"


async def test_where_neither_is_known_the_text_is_left(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    await deciding.ask(TOMATOES, REFUSED, REFUSED)
    assert deciding.routes == EMBEDDED, "after two requests, however many forms are left"
    await deciding.ask(BOOK, f"Let me think: {{so}}. ```json\n{json.dumps(GOOD)}\n``` That is it.")
    assert deciding.routes == BY_MODEL
    assert asked_in(upstream) == [TOOL, JSON_SCHEMA, TEXT]


async def test_json_that_is_written_instead_of_a_call_is_taken(
    deciding: Deciding, upstream: AzureOpenAIStandIn
) -> None:
    await deciding.ask(BOOK, f"```json\n{json.dumps(GOOD)}\n```")
    assert deciding.routes == BY_MODEL
    await deciding.ask(BOOK, Replies(GOOD))
    assert asked_in(upstream) == [TOOL, JSON_SCHEMA], "but tools are not known there"


@pytest.mark.parametrize(
    "aloud", ['<think>Is it {"routes": []}, or {"x": 1}?</think>', '{"example": {"routes": 1}} ', "{{{"], ids=repr
)
async def test_the_last_object_counts_for_who_thinks_aloud(deciding: Deciding, aloud: str) -> None:
    await deciding.ask(BOOK, f"{aloud}{json.dumps(GOOD)}")
    assert deciding.routes == BY_MODEL


async def test_a_server_that_does_not_come_to_an_end_is_asked_otherwise(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn
) -> None:
    """It may have passed over the tools, and the model writes at length."""
    deciding = Deciding(small_desk, deciding_model, upstream, seconds=10 * SHORT)
    for _ in range(2):
        await deciding.ask(TOMATOES, Hang())
        assert deciding.routes == EMBEDDED
    await deciding.ask(BOOK, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    assert asked_in(upstream) == [TOOL, TOOL, JSON_SCHEMA]


async def test_data_that_were_cut_off_are_asked_for_again_in_the_same_form(
    deciding: Deciding, upstream: AzureOpenAIStandIn
) -> None:
    await deciding.ask(BOOK, PROSE, '{"routes": [{"agent": "library", "conf')
    assert deciding.routes != BY_MODEL
    await deciding.ask(BOOK, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    assert asked_in(upstream) == [TOOL, JSON_SCHEMA, JSON_SCHEMA]


async def test_what_worked_is_not_given_up_for_one_bad_reply(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    await deciding.ask(BOOK, Replies(GOOD))
    await deciding.ask(BOOK, PROSE, Replies(GOOD))
    await deciding.ask(BOOK, REFUSED, Replies(GOOD))
    assert deciding.routes == BY_MODEL
    assert set(asked_in(upstream)) == {TOOL}


async def test_refusals_of_the_question_say_nothing_about_the_form(
    deciding: Deciding, upstream: AzureOpenAIStandIn
) -> None:
    for step in (Declines(), FilterPrompt(), Refuse(503), Refuse(429), Refuse(400, "context_length_exceeded")):
        await deciding.ask(TOMATOES, step)
        assert deciding.routes == EMBEDDED
    assert set(asked_in(upstream)) == {TOOL}


# ---------------------------------------------------------------- what is learnt


def forms(*missed: int, known: bool = False, fixed: ReplyForm | None = None) -> ReplyForms:
    learnt = ReplyForms("m", fixed)
    if known:
        learnt.kept(learnt.form)
    for how in missed:
        learnt.missed(learnt.form, how)
    return learnt


@pytest.mark.parametrize(
    ("learnt", "form"),
    [
        (forms(), TOOL),
        (forms(SURE), JSON_SCHEMA),
        (forms(DOUBTFUL), TOOL),
        (forms(DOUBTFUL, DOUBTFUL), JSON_SCHEMA),
        (forms(SURE, SURE), TEXT),
        (forms(SURE, SURE, SURE), TOOL),
        (forms(*[DOUBTFUL] * (KNOWN - 1), known=True), TOOL),
        (forms(*[DOUBTFUL] * KNOWN, known=True), JSON_SCHEMA),
        (forms(*[SURE] * 9, fixed=TEXT), TEXT),
    ],
)
def test_a_form_is_left_after_so_much(learnt: ReplyForms, form: ReplyForm) -> None:
    assert learnt.form is form


def test_a_good_reply_makes_good() -> None:
    learnt = forms(known=True)
    for _ in range(3 * KNOWN):
        learnt.missed(TOOL, DOUBTFUL)
        learnt.kept(TOOL)
    assert learnt.form is TOOL


def test_replies_to_requests_of_before_count_no_more() -> None:
    learnt = forms(SURE)
    learnt.missed(TOOL, SURE)
    learnt.kept(TOOL)
    assert learnt.form is JSON_SCHEMA
    for _ in range(UNKNOWN):
        learnt.late(JSON_SCHEMA)
    assert learnt.form is TEXT, "which had not been known to work"


@pytest.mark.parametrize(("fixed", "elsewhere"), [(None, True), (TOOL, False)])
def test_a_refusal_may_be_of_the_form_where_another_is_left(fixed: Any, elsewhere: bool) -> None:
    assert forms(fixed=fixed).refused(TOOL) is elsewhere
    assert not forms(SURE, SURE).refused(TEXT)
