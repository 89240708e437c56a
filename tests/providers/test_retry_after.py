"""A model that asks to be left alone for a while: waited for within the deadline, and not beyond it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from domain.deadline import until
from providers.retry_after import retry_after
from tests.providers.deployments import FIRST, FIRST_NAME, OTHER, OTHER_NAME, answer, failure, model_of
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Refuse


@pytest.mark.parametrize("header", ["retry-after-ms", "retry-after"])
async def test_a_wait_within_the_deadline_is_kept(first: AzureOpenAIStandIn, header: str) -> None:
    first.script(Refuse(429, headers={header: {"retry-after-ms": "300", "retry-after": "1"}[header]}))
    loop = asyncio.get_running_loop()
    async with model_of(first, model_retries=2) as model:
        began = loop.time()
        assert await answer(model) == (FIRST, FIRST_NAME)
        assert loop.time() - began >= (0.3 if header == "retry-after-ms" else 1)
    assert len(first.requests) == 2


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry-after": "90"}, 90), ({"retry-after-ms": "61500"}, 62)], ids=["s", "ms"]
)
async def test_a_wait_beyond_the_deadline_is_not_slept_through(
    first: AzureOpenAIStandIn, headers: dict[str, str], seconds: int
) -> None:
    first.script(*[Refuse(429, headers=headers)] * 3)
    async with model_of(first, model_retries=2) as model, asyncio.timeout(30):
        _, error = await failure(model)
    assert (error.details, error.retryable, "busy" in error.message) == ({"retry_after": seconds}, True, True)
    assert len(first.requests) == 1


async def test_waits_that_end_beyond_the_deadline_together_are_not_slept_through(first: AzureOpenAIStandIn) -> None:
    first.script(*[Refuse(429, headers={"retry-after": "1"})] * 3)
    async with model_of(first, model_retries=10, turn_first_token_seconds=1.9) as model:
        _, error = await failure(model)
    assert error.details == {"retry_after": 1}
    assert len(first.requests) == 2


async def test_the_turns_own_deadline_counts_where_it_is_earlier(first: AzureOpenAIStandIn) -> None:
    first.script(*[Refuse(429, headers={"retry-after": "20"})] * 3)
    loop = asyncio.get_running_loop()
    async with model_of(first, model_retries=2) as model, asyncio.timeout(10):
        with until(loop.time() + 15):
            _, error = await failure(model)
    assert error.details == {"retry_after": 20}
    assert len(first.requests) == 1


async def test_a_wait_beyond_the_deadline_is_the_others_turn(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn
) -> None:
    first.script(Refuse(429, headers={"retry-after": "40"}))  # of 60, of which the other has its half
    async with model_of(first, other, model_retries=2) as model, asyncio.timeout(30):
        assert await answer(model) == (OTHER, OTHER_NAME)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after-ms": "1500"}, 2),
        ({"retry-after-ms": "1", "retry-after": "7"}, 7),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 2**31 - 1),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_what_is_told_to_people(headers: dict[str, str], seconds: int | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_is_a_wait_too() -> None:
    seconds = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert seconds is not None
    assert 3500 < seconds <= 3600
