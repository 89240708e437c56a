"""Two stand-ins of Azure OpenAI, whose answers tell them apart."""

from collections.abc import Iterator

import pytest

from tests.providers.deployments import FIRST, OTHER
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
