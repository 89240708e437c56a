"""What becomes of a request that was made like those before it is the SDK's: what is told, how often it is tried, what is
counted and waited for. `by_sdk` is the SDK's whole way, on the same model and connections."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import httpx2
import openai
import pytest

from domain.deadline import until
from providers.direct_answers import DirectAnswers
from tests.providers.prepared import (
    NEEDED,
    QUESTION,
    RETRIES,
    Answering,
    azure,
    closing,
    hooks_of,
    undated_with,
    warm,
    write,
)
from tests.standins.azure_openai import AzureOpenAIStandIn, Fault
from tests.standins.faults import FilterPrompt, Hang, Refuse, Reset

PATIENCE = 0.5
AT_ONCE = {"retry-after-ms": "1"}
PATH = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


async def by_sdk(model: DirectAnswers) -> str:
    messages = [{"role": "user", "content": QUESTION[0].content}]
    stream = await model.async_client.create(messages=messages, model=model.model_name, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


class Watch:
    """What goes out of a model's connections and comes in, each attempt and each step of a redirect."""

    def __init__(self, model: DirectAnswers) -> None:
        self.seen: list[Any] = []
        hooks_of(model)["request"].append(self._out)
        hooks_of(model)["response"].append(self._in)

    async def outcome(self, asking: Awaitable[str]) -> tuple[Any, ...]:
        self.seen.clear()
        try:
            told: Any = await asking
        except Exception as error:
            status, body = getattr(error, "status_code", None), getattr(error, "body", None)
            told = type(error), str(error), type(error.__cause__), status, body
        return told, list(self.seen)

    async def _out(self, request: httpx2.Request) -> None:
        names = {"api-key", "content-length"} & set(request.headers)
        self.seen.append((str(request.url), request.headers["x-stainless-retry-count"], names))

    async def _in(self, response: httpx2.Response) -> None:
        self.seen.append((response.status_code, response.headers.get("x-should-retry")))


FAULTS: dict[str, list[Fault]] = {
    "busy": [Refuse(429, headers=AT_ONCE)],
    "busy again and again": [Refuse(429, headers=AT_ONCE)] * (1 + RETRIES),
    "busy beyond the deadline": [Refuse(429, headers={"retry-after": "90"})],
    "failing": [Refuse(500, headers=AT_ONCE)],
    "failing, then missing": [Refuse(503, headers=AT_ONCE), Refuse(404)],
    "failing, not to be asked again": [Refuse(500, headers={"x-should-retry": "false"})],
    "unauthorised": [Refuse(401)],
    "missing": [Refuse(404)],
    "filtered": [FilterPrompt()],
    "redirected": [Refuse(307, headers={"location": PATH})],
    "redirected, then failing": [Refuse(307, headers={"location": PATH}), Refuse(500, headers=AT_ONCE)],
    "redirected to nowhere": [Refuse(307)],
    "reset": [Reset()],
    "reset again and again": [Reset()] * (1 + RETRIES),
    "silent": [Hang()] * (1 + RETRIES),
    "silent once": [Hang()],
}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_fails_is_told_and_tried_again_as_by_the_sdk(
    first: AzureOpenAIStandIn, made: Callable[[], int], name: str
) -> None:
    model = azure(first.url, key=first.key, patience=PATIENCE)
    async with closing(model):
        await warm(model, made)
        watch, outcomes = Watch(model), []
        for ask in (by_sdk, write):
            before = len(first.requests)
            first.script(*FAULTS[name])
            with until(asyncio.get_running_loop().time() + 60):
                outcomes.append((*await watch.outcome(ask(model)), len(first.requests) - before))
        assert outcomes[1] == outcomes[0]
        made()
        await write(model)  # as before, whatever it was
        assert made() == 0


async def test_a_key_does_not_go_where_a_redirect_leads(
    first: AzureOpenAIStandIn, answering: Answering, made: Callable[[], int]
) -> None:
    model = azure(first.url, key=first.key)
    async with closing(model):
        await warm(model, made)
        for ask in (by_sdk, write):
            first.script(Refuse(307, headers={"location": f"{answering.url}/there"}))
            assert await ask(model) == "Nine."
    assert [(it.path, it.headers.get("api-key")) for it in answering.requests] == [("/there", None)] * 2


async def test_nobody_there_is_told_as_by_the_sdk(made: Callable[[], int]) -> None:
    with Answering() as stopped:
        model = azure(stopped.url)
        await warm(model, made)
    async with closing(model):
        watch = Watch(model)
        expected, told = await watch.outcome(by_sdk(model)), await watch.outcome(write(model))
    assert told == expected
    assert issubclass(told[0][0], openai.APIConnectionError)
    assert len(told[1]) == 1 + RETRIES


@pytest.mark.parametrize("steps", [[Hang()], [Refuse(500, headers=AT_ONCE), Hang()]], ids=["first", "second attempt"])
async def test_stopping_closes_the_request(
    first: AzureOpenAIStandIn, made: Callable[[], int], steps: list[Fault]
) -> None:
    model = azure(first.url, key=first.key)
    async with closing(model):
        await warm(model, made)
        first.script(*steps)
        task = asyncio.create_task(write(model))
        await asyncio.to_thread(first.wait_for_hang)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        request = first.requests[-1]
        assert await asyncio.to_thread(request.ended.wait, 5)
        assert request.aborted
        assert len(first.requests) == NEEDED + 1 + len(steps)


async def test_an_answer_that_nobody_takes_is_closed(first: AzureOpenAIStandIn, made: Callable[[], int]) -> None:
    """The provider of tokens fails when the SDK asks it, for the attempt that was made already."""
    tokens = [first.key] * 6

    async def failing() -> str:
        return tokens.pop() if tokens else _fail()

    model = undated_with(first.url, failing)
    async with closing(model):
        for _ in range(NEEDED):
            await write(model)
        responses: list[httpx2.Response] = []

        async def keep(response: httpx2.Response) -> None:
            responses.append(response)

        hooks_of(model)["response"].append(keep)
        first.script(Refuse(500))
        del tokens[1:]
        with pytest.raises(RuntimeError, match="no token"):
            await write(model)
    assert [(response.status_code, response.is_closed) for response in responses] == [(500, True)]


def _fail() -> NoReturn:
    raise RuntimeError("no token")
