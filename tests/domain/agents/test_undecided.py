"""A model that decides, and does not: its reply is asked for once more, and then the embedded method decides."""

import asyncio

import pytest

from domain.agents.decisions import LONGEST
from domain.model import RouteMethod
from providers.fallback import Deployments
from tests.domain.agents.deciding_desk import GENEROUS, GOOD, LIMIT, SHORT, TOMATOES, Deciding, routes
from tests.domain.agents.small_desks import Desk
from tests.standins.azure_openai import AzureOpenAIStandIn, Declines, Replies, Step
from tests.standins.faults import FilterAnswer, FilterPrompt, Hang, Malformed, Refuse, Reset

FAULTY = {
    "no JSON": Replies('{"routes": ['),
    "no object": Replies("[1]"),
    "nothing": Replies({}),
    "too sure": routes(("garden", 1.5)),
    "less than unsure": routes(("garden", -0.1)),
    "not a number": Replies('{"routes": [{"agent": "garden", "confidence": NaN}]}'),
    "no confidence": Replies({"routes": [{"agent": "garden"}]}),
    "routes of no kind": Replies({"routes": "garden"}),
    "words": "I think that the garden should answer.",
    "half of a braces' pair": "} or {",
}


@pytest.mark.parametrize("faulty", FAULTY.values(), ids=FAULTY)
async def test_a_faulty_decision_is_told_and_asked_for_again_once(
    deciding: Deciding, upstream: AzureOpenAIStandIn, faulty: Step
) -> None:
    await deciding.ask(TOMATOES, faulty, routes(("library", 0.6)))
    assert deciding.routes == [("library", RouteMethod.MODEL)]
    first, second = (exchange.body for exchange in upstream.requests)
    if "tools" in second:
        assert second["messages"][:-1] == first["messages"]
        assert "cannot be used" in second["messages"][-1]["content"]
    else:  # in another form it is another request
        assert second["messages"][1:] == first["messages"][1:]
    await deciding.ask(TOMATOES, faulty, faulty)
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]
    assert len(upstream.requests) == 4


async def test_a_question_that_grows_too_long_is_not_taken(deciding: Deciding) -> None:
    deciding.history.tell(TOMATOES, "Every second morning.")
    endless = routes(("garden", 0.9), question="why " * LONGEST)
    await deciding.ask("And how are they fed?", endless, endless)
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]
    assert len(deciding.written.standalone) < 100


@pytest.mark.parametrize(
    "step",
    [
        Declines(),
        FilterPrompt(),
        FilterAnswer(1),
        Refuse(401),
        Refuse(429),
        Refuse(503),
        Reset(),
        Malformed(),
    ],
    ids=str,
)
async def test_without_a_decision_the_embedded_method_decides(
    deciding: Deciding, upstream: AzureOpenAIStandIn, step: Step
) -> None:
    draft = await deciding.ask(TOMATOES, step)
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]
    assert "second morning" in draft.text
    assert len(upstream.requests) == 1


async def test_a_model_that_does_not_reply_in_time_is_left(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn
) -> None:
    deciding = Deciding(small_desk, deciding_model, upstream, seconds=SHORT)
    draft = await asyncio.wait_for(deciding.ask(TOMATOES, Hang()), GENEROUS)
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]
    assert "second morning" in draft.text
    [request] = upstream.requests
    assert await asyncio.to_thread(request.ended.wait, GENEROUS)
    assert request.aborted


async def test_a_second_attempt_that_hangs_is_left_too(
    small_desk: Desk, deciding_model: Deployments, upstream: AzureOpenAIStandIn
) -> None:
    deciding = Deciding(small_desk, deciding_model, upstream, seconds=10 * SHORT)
    await asyncio.wait_for(deciding.ask(TOMATOES, Replies("{"), Hang()), GENEROUS)
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]
    _, second = upstream.requests
    assert await asyncio.to_thread(second.ended.wait, GENEROUS)
    assert second.aborted


async def test_a_model_that_fails_again_and_again_is_left_alone(
    deciding: Deciding, upstream: AzureOpenAIStandIn
) -> None:
    for _ in range(LIMIT):
        await deciding.ask(TOMATOES, Refuse(503))
    await deciding.ask(TOMATOES, Replies(GOOD))
    assert len(upstream.requests) == LIMIT
    assert deciding.routes == [("garden", RouteMethod.EMBEDDED)]


async def test_one_who_is_refused_does_not_switch_the_model_off_for_others(deciding: Deciding) -> None:
    for step in (Declines(), FilterPrompt(), Replies("{"), Replies("{")) * LIMIT:
        await deciding.ask(TOMATOES, step, *([Replies("{")] if isinstance(step, Replies) else []))
    await deciding.ask(TOMATOES, Replies(GOOD))
    assert deciding.routes == [("library", RouteMethod.MODEL)]


async def test_a_stopped_turn_stops_deciding(deciding: Deciding, upstream: AzureOpenAIStandIn) -> None:
    running = asyncio.ensure_future(deciding.ask(TOMATOES, Hang()))
    await asyncio.to_thread(upstream.wait_for_hang)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [request] = upstream.requests
    assert await asyncio.to_thread(request.ended.wait, GENEROUS)
    assert request.aborted
