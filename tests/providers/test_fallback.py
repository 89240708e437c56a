"""Two deployments of Azure OpenAI, on two stand-ins: who answers, who is left alone, and what is told to whom."""

import asyncio

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from domain.agents.prompts import PromptTooLong
from domain.errors import ContentFiltered, DeskError, ModelUnavailable
from models import choose_model
from providers.fallback import PAUSED, Deployments
from settings import Settings
from tests.providers.deployments import FIRST, FIRST_NAME, OTHER, OTHER_NAME, answer, failure, model_of, settings_for
from tests.standins.azure_openai import AzureOpenAIStandIn, Fault
from tests.standins.faults import (
    CutShort,
    ErrorInStream,
    FilterAnswer,
    FilterPrompt,
    Hang,
    Malformed,
    Refuse,
    Reset,
)

DOWN = Refuse(503)


async def pause_over(model: Deployments) -> None:
    while model.deployments[0].breaker.remaining:
        await asyncio.sleep(0.01)


async def test_the_first_answers_while_it_can(first: AzureOpenAIStandIn, other: AzureOpenAIStandIn) -> None:
    async with model_of(first, other) as model:
        assert await answer(model) == (FIRST, FIRST_NAME)
    assert other.requests == []


@pytest.mark.parametrize("version", ["2024-10-21", "v1"])
@pytest.mark.parametrize(
    "fault",
    [Refuse(401), Refuse(404), Refuse(429), Refuse(500), DOWN, Reset(), Reset(0), CutShort(0), Malformed(0), ErrorInStream(0)],
    ids=repr,
)  # fmt: skip
async def test_the_other_answers_where_the_first_fails_before_its_first_token(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, fault: Fault, version: str
) -> None:
    first.script(fault)
    async with model_of(first, other, azure_openai_api_version=version) as model:
        assert await answer(model) == (OTHER, OTHER_NAME)
        assert await answer(model) == (FIRST, FIRST_NAME)
    assert (len(first.requests), len(other.requests)) == (2, 1)


@pytest.mark.parametrize("fault", [Hang(), Hang(0)], ids=["before the head", "behind the head"])
async def test_one_that_does_not_begin_is_left_while_there_is_time_for_the_other(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, fault: Hang
) -> None:
    first.script(fault)
    async with model_of(first, other, turn_first_token_seconds=2) as model, asyncio.timeout(2):
        assert await answer(model) == (OTHER, OTHER_NAME)


@pytest.mark.parametrize("fault", [Reset(2), CutShort(2), Malformed(2), ErrorInStream(2)], ids=repr)
async def test_nobody_goes_on_in_anothers_words(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, fault: Fault
) -> None:
    first.script(fault)
    async with model_of(first, other) as model:
        text, error = await failure(model)
    assert (text, type(error)) == ("The first ", ModelUnavailable)
    assert other.requests == []


async def test_once_it_has_begun_an_answer_may_take_its_time(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    first.otherwise, first.pace = "word " * 20, 0.05
    async with model_of(first, other, turn_first_token_seconds=0.6) as model:
        assert await answer(model) == (first.otherwise, FIRST_NAME)


@pytest.mark.parametrize(
    ("fault", "kind"), [(FilterPrompt(), ContentFiltered), (Refuse(400, "context_length_exceeded"), PromptTooLong)]
)
async def test_what_is_the_questions_fault_is_not_tried_elsewhere(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, fault: Fault, kind: type[DeskError]
) -> None:
    first.script(*[fault] * 3)
    async with model_of(first, other, model_breaker_failures=1) as model:
        for _ in range(3):
            assert type((await failure(model))[1]) is kind
        assert model.paused == ()
    assert other.requests == []


async def test_when_both_fail_the_last_failure_is_told(first: AzureOpenAIStandIn, other: AzureOpenAIStandIn) -> None:
    first.script(DOWN)
    other.script(Refuse(429, headers={"retry-after": "9"}))
    async with model_of(first, other) as model:
        _, error = await failure(model)
    assert (type(error), error.details) == (ModelUnavailable, {"retry_after": 9})


# ---------------------------------------------------------------- left alone


async def test_one_that_fails_again_and_again_is_left_alone(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    first.fault = DOWN
    async with model_of(first, other, model_breaker_failures=2, model_breaker_seconds=3600) as model:
        for _ in range(4):
            assert await answer(model) == (OTHER, OTHER_NAME)
        assert model.paused == (FIRST_NAME,)
        assert len(first.requests) == 2
        other.fault = DOWN
        for _ in range(2):
            await failure(model)
        text, error = await failure(model)
    assert (text, error.message, error.retryable) == ("", PAUSED, True)
    assert 3500 < error.details["retry_after"] <= 3600
    assert (len(first.requests), len(other.requests)) == (2, 6)


async def test_after_the_pause_one_question_finds_out_for_all(first: AzureOpenAIStandIn) -> None:
    first.script(DOWN, Hang())
    async with model_of(first, model_breaker_failures=1, model_breaker_seconds=0.1) as model:
        await failure(model)
        await pause_over(model)
        probe = asyncio.create_task(answer(model))
        await asyncio.to_thread(first.wait_for_hang)
        assert [(await failure(model))[1].message for _ in range(3)] == [PAUSED] * 3
        first.release()
        assert await probe == (FIRST, FIRST_NAME)
        assert model.paused == ()
        assert await answer(model) == (FIRST, FIRST_NAME)
    assert len(first.requests) == 3


async def test_what_does_not_begin_in_time_counts_as_failed(first: AzureOpenAIStandIn) -> None:
    first.fault = Hang()
    async with model_of(first, model_breaker_failures=1, turn_first_token_seconds=0.3) as model:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):  # as a turn does it
                await answer(model)
        assert model.paused == (FIRST_NAME,)


async def test_what_is_stopped_before_says_nothing(first: AzureOpenAIStandIn) -> None:
    first.fault = Hang()
    async with model_of(first, model_breaker_failures=1) as model:
        asked = asyncio.create_task(answer(model))
        await asyncio.to_thread(first.wait_for_hang)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert model.paused == ()


@pytest.mark.parametrize("fault", [Refuse(429), Refuse(401), FilterAnswer(2), Reset(2)], ids=repr)
async def test_who_answers_at_all_is_not_left_alone(first: AzureOpenAIStandIn, fault: Fault) -> None:
    first.script(*[fault] * 3)
    async with model_of(first, model_breaker_failures=1) as model:
        for _ in range(3):
            await asyncio.gather(answer(model), return_exceptions=True)
        assert await answer(model) == (FIRST, FIRST_NAME)


# ---------------------------------------------------------------- what whoever runs the desk is told


@pytest.mark.parametrize(
    ("status", "variable"), [(401, "API_KEY"), (404, "DEPLOYMENT"), (404, "API_VERSION"), (400, "API_VERSION")]
)
async def test_the_log_names_the_variable_to_look_at_and_no_secret(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, status: int, variable: str
) -> None:
    first.script(Refuse(status))
    other.script(Refuse(status))
    with capture_logs() as logs:
        async with model_of(first, other) as model:
            _, error = await failure(model)
    told = [line for line in logs if line["event"] == "model_failed"]
    assert [(line["log_level"], line["model"]) for line in told] == [("error", FIRST_NAME), ("error", OTHER_NAME)]
    assert f"AZURE_OPENAI_{variable}" in told[0]["remedy"]
    assert f"AZURE_OPENAI_FALLBACK_{variable}" in told[1]["remedy"]
    assert not any(key in str(logs) + error.message for key in (first.key, other.key))
    assert "AZURE" not in error.message


async def test_an_openai_compatible_server_has_its_own_variables(first: AzureOpenAIStandIn) -> None:
    first.script(Refuse(401))
    settings = Settings(_env_file=None, openai_model="llama-3", openai_base_url=f"{first.url}/v1", model_retries=0)
    model = choose_model(settings)
    assert isinstance(model.chat, Deployments)
    with capture_logs() as logs:
        await failure(model.chat)
    await model.close()
    [line] = [line for line in logs if line["event"] == "model_failed"]
    assert "OPENAI_API_KEY" in line["remedy"]
    assert "AZURE" not in line["remedy"]


async def test_a_pause_and_its_end_are_logged(first: AzureOpenAIStandIn) -> None:
    first.script(DOWN)
    with capture_logs() as logs:
        async with model_of(first, model_breaker_failures=1, model_breaker_seconds=0.1) as model:
            await failure(model)
            await pause_over(model)
            await answer(model)
    assert [line["event"] for line in logs] == ["model_failed", "model_paused", "model_resumed"]


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("missing", ["API_KEY", "DEPLOYMENT", "ENDPOINT"])
def test_half_a_fallback_is_named(first: AzureOpenAIStandIn, other: AzureOpenAIStandIn, missing: str) -> None:
    with pytest.raises(ValueError, match=f"AZURE_OPENAI_FALLBACK_{missing} is missing"):
        settings_for(first, other, **{f"azure_openai_fallback_{missing.lower()}": None})


def test_a_version_alone_is_half_a_fallback(first: AzureOpenAIStandIn) -> None:
    with pytest.raises(ValueError, match="AZURE_OPENAI_FALLBACK_DEPLOYMENT is missing"):
        settings_for(first, azure_openai_fallback_api_version="v1")


def test_a_fallback_needs_something_to_stand_in_for(other: AzureOpenAIStandIn) -> None:
    with pytest.raises(ValueError, match="needs AZURE_OPENAI_DEPLOYMENT"):
        Settings(
            _env_file=None,
            azure_openai_fallback_api_key=SecretStr(other.key),
            azure_openai_fallback_deployment=other.deployment,
            azure_openai_fallback_endpoint=other.url,
        )


async def test_the_fallback_may_speak_another_version(first: AzureOpenAIStandIn, other: AzureOpenAIStandIn) -> None:
    first.fault = DOWN
    for version, path in (
        (None, "/openai/deployments/gpt-4o-north/chat/completions"),
        ("v1", "/openai/v1/chat/completions"),
    ):
        async with model_of(first, other, azure_openai_fallback_api_version=version) as model:
            await answer(model)
        assert other.requests[-1].path == path
