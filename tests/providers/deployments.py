"""Answer models on one stand-in of Azure OpenAI, or on two: the second is the fallback."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from domain.agents.answering import ANSWERED_BY
from domain.errors import DeskError
from models import choose_model
from providers.fallback import Deployments
from providers.model_errors import model_error
from settings import Settings
from tests.standins.azure_openai import AzureOpenAIStandIn

QUESTION: Sequence[BaseMessage] = [HumanMessage("How much is nano?")]
FIRST, OTHER = "The first says nine.", "The other says nine."
FIRST_NAME, OTHER_NAME = "Azure OpenAI, deployment gpt-4o", "Azure OpenAI, fallback deployment gpt-4o-north"


def settings_for(first: AzureOpenAIStandIn, other: AzureOpenAIStandIn | None = None, **changes: Any) -> Settings:
    named: dict[str, Any] = {
        "azure_openai_api_key": first.key,
        "azure_openai_deployment": first.deployment,
        "azure_openai_endpoint": first.url,
        "azure_openai_api_version": "2024-10-21",
        "model_retries": 0,
    }
    if other is not None:
        named["azure_openai_fallback_api_key"] = other.key
        named["azure_openai_fallback_deployment"] = other.deployment
        named["azure_openai_fallback_endpoint"] = other.url
    return Settings(_env_file=None, **(named | changes))


@asynccontextmanager
async def model_of(
    first: AzureOpenAIStandIn, other: AzureOpenAIStandIn | None = None, **changes: Any
) -> AsyncIterator[Deployments]:
    model = choose_model(settings_for(first, other, **changes))
    assert isinstance(model.chat, Deployments)
    try:
        yield model.chat
    finally:
        await model.close()


async def answer(model: Deployments) -> tuple[str, str]:
    """The text, and the name of who wrote it."""
    texts: list[str] = []
    message = await model.write(lambda: QUESTION, texts.append)
    assert message.text == "".join(texts)
    return message.text, message.response_metadata[ANSWERED_BY]


async def failure(model: Deployments) -> tuple[str, DeskError]:
    """What was written, and what the failure is to a person."""
    texts: list[str] = []
    try:
        await model.write(lambda: QUESTION, texts.append)
    except Exception as error:
        meant = error if isinstance(error, DeskError) else model_error(error)
        assert meant is not None
        return "".join(texts), meant
    raise AssertionError("it did not fail")
