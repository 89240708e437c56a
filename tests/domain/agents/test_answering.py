"""Waiting for answer models: the time until they begin, their silences, and stopping them; real ones on a stand-in."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from domain.agents.answering import DirectModel
from domain.agents.catalog import AgentCatalog
from domain.agents.patience import LATE, ORDINARY, SILENT, ModelSilent, Patience, Waiting
from domain.agents.prompts import PromptTooLong
from domain.agents.state import Draft
from domain.agents.workflow import build_workflow
from domain.errors import DeskError, ErrorCode, ModelUnavailable
from domain.model import Message, Role, Route, Source
from domain.ports import History
from providers.azure_openai import azure_openai_model
from providers.direct_answers import DirectAnswers
from providers.extractive import ExtractiveChatModel
from providers.model_errors import model_error
from providers.openai import close_model, connection, openai_model
from providers.whole_answers import WholeAzureChatOpenAI, WholeChatOpenAI
from settings import Settings
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.turns import asking
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import CutShort, ErrorInStream, Hang, Refuse

QUESTION = "How often should I water tomatoes?"
ANSWER = "Water them [1] every second morning."
SHORT = Patience(first_token=0.3, silence=0.3)
GENEROUS = 20.0
"""Seconds in which any of these model calls ends; a deadline that never comes would be waited for otherwise."""
SOON = 1.0
"""Seconds in which a model call that is stopped must have closed its connection, on a busy machine: 0.1 otherwise."""


class Said(History):
    """Questions and answers by turns."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        now = datetime.now(UTC)
        roles = (Role.USER, Role.ASSISTANT)
        return [Message(n, 1, 1, roles[n % 2], text, now) for n, text in enumerate(self._texts)]


@dataclass
class Written:
    """What a turn's followers would see."""

    text: str = ""
    routes: list[Route] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        self.routes = list(routes)

    def sources_found(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)

    def delta(self, text: str) -> None:
        self.text += text


@pytest.fixture
def upstream() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        server.otherwise = ANSWER
        yield server


@pytest.fixture(params=["direct", "library"])
async def model(request: pytest.FixtureRequest, upstream: AzureOpenAIStandIn) -> AsyncIterator[BaseChatModel]:
    """One that writes straight to a sink, and one that streams as LangChain does."""
    made: BaseChatModel
    if request.param == "direct":
        made = openai_model(Settings(_env_file=None, openai_model="m", openai_base_url=f"{upstream.url}/v1"))
    else:
        address = f"{upstream.url}/v1"
        made = WholeChatOpenAI(base_url=address, model="m", api_key="k", stream_usage=True, **connection(60, 0))
    assert isinstance(made, ChatOpenAI)
    assert isinstance(made, DirectModel) is (request.param == "direct")
    yield made
    await close_model(made)


def turn(
    desk: Desk,
    model: BaseChatModel | DirectModel,
    patience: Patience,
    written: Written,
    *before: str,
    asked: str = QUESTION,
) -> Callable[[], Awaitable[Draft]]:
    """`before` are earlier questions and answers by turns."""
    catalog = AgentCatalog(tuple(desk.agents))
    workflow = build_workflow(Said(*before), desk.search, catalog, model, "m", model_error, patience)
    return lambda: workflow(asking(asked, catalog.all, written))


async def failure(run: Callable[[], Awaitable[Draft]]) -> DeskError:
    with pytest.raises(DeskError) as caught:
        await asyncio.wait_for(run(), GENEROUS)
    return caught.value


async def test_both_kinds_of_models_write_the_same(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    written = Written()
    draft = await turn(small_desk, model, ORDINARY, written)()
    assert draft.text == written.text == ANSWER
    assert [source.document_id for source in draft.sources] == [source.document_id for source in written.sources] != []
    assert draft.usage is not None
    assert draft.usage.completion_tokens == len(ANSWER.split())


@pytest.mark.parametrize("fault", [Hang(), Hang(after=0)], ids=["before the head", "behind the head"])
async def test_a_model_that_does_not_begin_is_left(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn, fault: Hang
) -> None:
    upstream.script(fault)
    written = Written()
    error = await failure(turn(small_desk, model, SHORT, written))
    assert (type(error), error.message, error.retryable, written.text) == (ModelSilent, LATE, True, "")
    await closed(upstream)


async def test_a_model_that_falls_silent_is_left_and_its_text_kept(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.otherwise = "Water them [1 time"  # whose bracket is held back: it could become a citation
    upstream.script(Hang(after=3))
    written = Written()
    error = await failure(turn(small_desk, model, Patience(first_token=60, silence=0.3), written))
    assert (type(error), error.message, error.retryable) == (ModelSilent, SILENT, True)
    assert written.text == "Water them [1 "
    await closed(upstream)


async def test_an_answer_may_take_longer_than_any_of_its_silences(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.otherwise = f"{ANSWER} " * 6
    upstream.pace = 0.05
    written = Written()
    began = time.monotonic()
    await turn(small_desk, model, Patience(first_token=60, silence=1), written)()
    assert time.monotonic() - began > 1.5
    assert written.text == upstream.otherwise


async def test_the_embedded_model_is_waited_for_as_well(small_desk: Desk) -> None:
    written = Written()
    model = ExtractiveChatModel(words_per_second=1)
    error = await failure(turn(small_desk, model, Patience(first_token=0.2, silence=60), written))
    assert (error.message, written.text) == (LATE, "")
    error = await failure(turn(small_desk, model, Patience(first_token=60, silence=0.2), written))
    assert error.message == SILENT
    assert written.text.strip() != ""


async def test_another_failure_keeps_its_name(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(CutShort(after=2))
    error = await failure(turn(small_desk, model, ORDINARY, Written()))
    assert type(error) is ModelUnavailable
    assert "broke off" in error.message


async def test_a_stopped_turn_closes_its_model_call_at_once(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(Hang(after=2))
    written = Written()
    running = asyncio.ensure_future(turn(small_desk, model, ORDINARY, written)())
    await asyncio.to_thread(upstream.wait_for_hang)
    while not written.text:
        await asyncio.sleep(0)
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await closed(upstream)
    assert time.monotonic() - began < SOON


async def test_a_time_out_of_the_models_own_stays_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with Waiting(ORDINARY, lambda text: None):
            raise TimeoutError


async def test_signs_of_life_are_no_beginning() -> None:
    async def alive() -> None:
        async with Waiting(SHORT, lambda text: None) as waiting:
            while True:
                waiting.feed("")
                await asyncio.sleep(0)

    with pytest.raises(ModelSilent, match=LATE):
        await asyncio.wait_for(alive(), GENEROUS)


# ---------------------------------------------------------------- more than the model reads at once

EARLIER = ("What do tomatoes need?", "Light and warmth. " * 900)
PASSAGE = re.compile(r'<passage number="(\d+)" title=\'(.*?)\'>')


@pytest.fixture(params=["2024-10-21", "v1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["direct", "library"])
async def azure_model(
    request: pytest.FixtureRequest, upstream: AzureOpenAIStandIn, version: str
) -> AsyncIterator[BaseChatModel]:
    settings: Any = {name.lower(): value for name, value in upstream.environment(version).items()}
    settings["azure_openai_endpoint"] = settings.pop("azure_open_api_endpoint")
    made = azure_openai_model(Settings(_env_file=None, **settings))
    assert isinstance(made, DirectAnswers)
    if request.param == "library":
        stock = WholeAzureChatOpenAI if version != "v1" else WholeChatOpenAI
        made.__class__ = type("Stock", (stock,), {})
    yield made
    await close_model(made)


async def test_a_prompt_that_is_too_long_is_trimmed_once(
    sample_desk: Desk, azure_model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.window = 1_000
    upstream.otherwise = (
        "Nano has 1 user [2]. Up to 114 returns a year it stays cheaper [1]. Students pay $4.50 a month [4]."
    )
    written, before = Written(), (*EARLIER, "Thank you!", "My pleasure. " * 500)
    question = "How can I pay for the Nano plan?"
    draft = await turn(sample_desk, azure_model, ORDINARY, written, *before, asked=question)()
    first, second = (request.body["messages"] for request in upstream.requests)
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert second[1]["content"] == "Thank you!"
    assert 500 < len(second[2]["content"]) <= 1_000
    passages, kept = (PASSAGE.findall(messages[-1]["content"]) for messages in (first, second))
    assert kept == passages[: len(kept)]
    assert (len(passages), len(kept)) == (6, 3)
    said = "Nano has 1 user [1]. Up to 114 returns a year it stays cheaper [2]. Students pay $4.50 a month."
    assert draft.text == written.text == said
    titles = dict(kept)
    assert [source.title for source in draft.sources] == [titles["2"], titles["1"]]


async def test_a_prompt_that_stays_too_long_is_told_and_not_asked_again(
    small_desk: Desk, azure_model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.window = 10
    written = Written()
    error = await failure(turn(small_desk, azure_model, ORDINARY, written, *EARLIER))
    assert (type(error), error.code, error.retryable) == (PromptTooLong, ErrorCode.MODEL_UNAVAILABLE, False)
    assert (len(upstream.requests), written.text) == (2, "")


async def test_an_answer_that_has_begun_is_not_begun_anew(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(ErrorInStream(after=2, code="context_length_exceeded"))
    written = Written()
    error = await failure(turn(small_desk, model, ORDINARY, written, *EARLIER))
    assert (error.code, error.retryable) == (ErrorCode.MODEL_UNAVAILABLE, False)
    assert (len(upstream.requests), written.text) == (1, "Water them ")


async def test_both_attempts_begin_within_one_patience(
    small_desk: Desk, model: BaseChatModel, upstream: AzureOpenAIStandIn
) -> None:
    upstream.script(Refuse(400, "context_length_exceeded"), Hang())
    error = await failure(turn(small_desk, model, SHORT, Written()))
    assert (error.message, len(upstream.requests)) == (LATE, 2)


async def closed(upstream: AzureOpenAIStandIn) -> None:
    """Returns when the only request's connection is closed by the client."""
    [request] = upstream.requests
    assert await asyncio.to_thread(request.ended.wait, 5)
    assert request.aborted


async def test_what_nobody_counts_has_no_cost(small_desk: Desk, upstream: AzureOpenAIStandIn) -> None:
    """Azure OpenAI did not, of what it streams, before 2024-09."""
    for version, counted in (("2023-05-15", False), ("2024-10-21", True)):
        values = {name.lower(): value for name, value in upstream.environment(version).items()}
        model = azure_openai_model(Settings(_env_file=None, **values))  # type: ignore[arg-type]
        draft = await turn(small_desk, model, ORDINARY, Written())()
        await close_model(model)
        assert (draft.text, draft.usage is not None) == (ANSWER, counted)
