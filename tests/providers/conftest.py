"""Two stand-ins of Azure OpenAI, whose answers tell them apart; a server that answers whatever is asked; the SDK's count."""

import logging
from collections.abc import Callable, Iterator

import pytest

from tests.providers.deployments import FIRST, OTHER
from tests.providers.prepared import Answering
from tests.standins.azure_openai import AzureOpenAIStandIn


@pytest.fixture
def first() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as upstream:
        upstream.otherwise = FIRST
        yield upstream


@pytest.fixture
def other() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn("gpt-4o-north") as upstream:
        upstream.otherwise = OTHER
        yield upstream


@pytest.fixture
def answering() -> Iterator[Answering]:
    with Answering() as server:
        yield server


@pytest.fixture
def made(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """How many requests the SDK made since it was asked last."""
    caplog.set_level(logging.DEBUG, "openai")

    def count() -> int:
        number = sum(record.getMessage().startswith("Building HTTP request") for record in caplog.records)
        caplog.clear()
        return number

    return count
