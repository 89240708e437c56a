"""Requests that are made like those before them: the upstream gets what the SDK sends, from each model its own.

Whether the SDK made a request is told by its own log.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tracers.context import collect_runs
from pydantic import SecretStr

from providers.direct_answers import DirectAnswers, DirectChatOpenAI
from providers.openai import completions_model, connection
from tests.providers.prepared import (
    NEEDED,
    QUESTION,
    RETRIES,
    Answering,
    azure,
    closing,
    dated_with,
    undated_with,
    warm,
    write,
)
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.faults import Hang
from tests.standins.loopback import Exchange


async def unchanging() -> str:
    return "token"


FORMS: dict[str, Callable[[str], DirectAnswers]] = {
    "dated": azure,
    "dated, without usage": lambda url: azure(url, "2023-05-15"),
    "dated, token": lambda url: dated_with(url, unchanging),
    "v1": lambda url: azure(url, "v1"),
    "v1 with a query": lambda url: azure(url, "preview"),
    "v1, token": lambda url: undated_with(url, unchanging),
    "OpenAI": lambda url: completions_model(f"{url}/v1", "llama-3", SecretStr("sk"), connection(10, RETRIES)),
    "OpenAI with a query": lambda url: completions_model(
        f"{url}/v1", "llama-3", SecretStr("sk"), connection(10, RETRIES), {"team": "a b&c=é", "empty": ""}
    ),
}


TEXTS = [
    "", "How much is nano?", "é — ✓ 😀", "\u2028 \u2029 \x7f \x85", '"quoted" \\ / </script>', "\x00\x01\x1f\t\r\n\b\f",
    "\ufeff\uffff", "नमस्ते", "x" * 70_000, "\U0010ffff", " ", "{}", "\n",
]  # fmt: skip
SETTINGS: dict[str, list[Any]] = {
    "temperature": [None, 0, 0.0, 1, 0.1, 1e-7, 2.0],
    "max_tokens": [None, 1, 2**31],
    "seed": [None, 0, -1, 2**63 - 1],
    "top_p": [None, 0.95, 1],
    "presence_penalty": [None, -2.0, 0.5],
    "stream_usage": [False, True],
}


def shapes(number: int) -> Iterator[tuple[list[BaseMessage], dict[str, Any]]]:
    chance = random.Random(number)
    for _ in range(number):
        kinds = chance.choices([SystemMessage, HumanMessage, AIMessage], k=chance.randint(1, 6))
        settings = {name: chance.choice(values) for name, values in SETTINGS.items()}
        yield [kind("".join(chance.choices(TEXTS, k=2))) for kind in kinds], settings


def parts_of(exchange: Exchange) -> tuple[Any, ...]:
    """The length differs where a number may be written in more than one way."""
    headers = {name: value for name, value in exchange.headers.items() if name != "content-length"}
    return exchange.method, exchange.path, exchange.query, headers, exchange.body


@pytest.mark.parametrize("form", FORMS)
async def test_each_request_is_what_the_sdk_sends(answering: Answering, made: Callable[[], int], form: str) -> None:
    model = FORMS[form](answering.url)
    async with closing(model):
        await warm(model, made)
        for messages, settings in shapes(25):
            for name, value in settings.items():
                setattr(model, name, value)
            async for _ in model.astream(messages):
                pass
            assert made() == 1
            assert await write(model, messages) == "Nine."
            assert made() == 0
            expected, sent = answering.requests[-2:]
            assert parts_of(sent) == parts_of(expected)


async def test_cookies_are_those_of_the_last_answer(answering: Answering, made: Callable[[], int]) -> None:
    answering.cookies = True
    model = azure(answering.url)
    async with closing(model):
        await warm(model, made)
        assert [chunk async for chunk in model.astream(QUESTION)]
        await write(model)
    assert [it.headers.get("cookie") for it in answering.requests] == [None, *[f"seen={n}" for n in range(1, 5)]]


@pytest.mark.parametrize(
    ("text", "changes", "error"),
    [
        ("\ud83d", {}, UnicodeEncodeError),
        ("x", {"temperature": float("nan")}, ValueError),
        ("x", {"seed": 2**64}, None),
        ("x", {"model_kwargs": {"logit_bias": {"1": 2}}}, None),
    ],
)
async def test_what_is_not_plain_json_is_the_sdks_to_send(
    answering: Answering, made: Callable[[], int], text: str, changes: dict[str, Any], error: type[Exception] | None
) -> None:
    model = azure(answering.url)
    async with closing(model):
        await warm(model, made)
        for name, value in changes.items():
            setattr(model, name, value)
        if error is None:
            async for _ in model.astream([HumanMessage(text)]):
                pass
            await write(model, [HumanMessage(text)])
            expected, sent = answering.requests[-2:]
            assert parts_of(sent) == parts_of(expected)
        else:
            with pytest.raises(error):
                await write(model, [HumanMessage(text)])
            assert len(answering.requests) == NEEDED + 1
        assert made() == (2 if error is None else 1)


async def test_who_listens_hears_of_a_call_that_is_made_so(answering: Answering, made: Callable[[], int]) -> None:
    model = azure(answering.url)
    async with closing(model):
        await warm(model, made)
        with collect_runs() as heard:
            assert await write(model) == "Nine."
    assert (made(), len(heard.traced_runs)) == (0, 1)
    first, *others = map(parts_of, answering.requests)
    assert all(other == first for other in others)


async def test_what_was_asked_is_not_held_while_the_answer_streams(
    first: AzureOpenAIStandIn, made: Callable[[], int]
) -> None:
    model = azure(first.url, key=first.key)
    async with closing(model):
        await warm(model, made)
        first.script(Hang(after=1))
        began = asyncio.Event()
        asked, sink = [HumanMessage("long " * 5_000)], lambda text: began.set() if text else None
        task = asyncio.create_task(model.write(asked.copy, sink))
        await began.wait()
        gc.collect()  # the SDK's streams are circles
        held = [it for it in gc.get_objects() if isinstance(it, httpx2.Request | openai.AsyncStream)]
        assert [it for it in held if isinstance(it, openai.AsyncStream) or b"long" in it.content] == []
        first.release()
        await task


# ---------------------------------------------------------------- whose request it is


@pytest.mark.parametrize("model_with", [dated_with, undated_with])
async def test_a_token_is_the_one_in_hand(
    answering: Answering,
    made: Callable[[], int],
    model_with: Callable[[str, Callable[[], Awaitable[str]]], DirectAnswers],
) -> None:
    token = "first"

    async def in_hand() -> str:
        return token

    model = model_with(answering.url, in_hand)
    counts = []
    async with closing(model):
        for token in ["first"] * 4 + ["second"] * 4 + ["first", "second"] * 2:
            await write(model)
            assert answering.requests[-1].headers["authorization"] == f"Bearer {token}"
            counts.append(made())
    assert counts == [1, 1, 0, 0] * 2 + [1] * 4


async def test_a_key_that_only_the_sdk_can_ask_for_is_the_sdks_to_show(
    answering: Answering, made: Callable[[], int]
) -> None:
    keys = [f"Bearer {number}" for number in range(4)]
    left = iter(keys)
    model = DirectChatOpenAI(
        base_url=answering.url,
        model="m",
        api_key=lambda: next(left).removeprefix("Bearer "),
        **connection(10, RETRIES),
    )
    async with closing(model):
        for _ in keys:
            await write(model)
    assert made() == len(keys)
    assert [it.headers["authorization"] for it in answering.requests] == keys


async def test_a_key_that_is_exchanged_is_not_shown_any_more(answering: Answering, made: Callable[[], int]) -> None:
    model = azure(answering.url)
    async with closing(model):
        await warm(model, made)
        model.root_async_client.api_key = "other"
        for _ in range(3):
            await write(model)
    assert [it.headers["api-key"] for it in answering.requests] == ["k"] * 3 + ["other"] * 3


async def test_models_that_share_their_connections_share_nothing_else(
    answering: Answering, made: Callable[[], int]
) -> None:
    shared = connection(10, RETRIES)
    urls, keys = [f"{answering.url}/{name}" for name in "ab"], ["key-a", "key-b"]
    models = [
        completions_model(url, key, SecretStr(key), shared) for url, key in zip(urls, keys, strict=True)
    ]  # each named by its key
    async with closing(*models):
        for model in models:
            await warm(model, made)
        await asyncio.gather(*(write(model) for model in models * 10))
    assert made() == 0
    told = {(it.path, it.headers["authorization"], it.body["model"]) for it in answering.requests}
    assert told == {(f"/{name}/chat/completions", f"Bearer key-{name}", f"key-{name}") for name in "ab"}


async def test_a_copy_that_asks_elsewhere_asks_there(answering: Answering, made: Callable[[], int]) -> None:
    model = completions_model(f"{answering.url}/a", "m", SecretStr("k"), connection(10, RETRIES))
    async with closing(model):
        await warm(model, made)
        copy = model.model_copy()
        copy.root_async_client = model.root_async_client.copy(base_url=f"{answering.url}/b")
        for _ in range(4):
            await write(model)
            await write(copy)
    paths = [it.path for it in answering.requests[-8:]]
    assert paths == ["/a/chat/completions", "/b/chat/completions"] * 4
