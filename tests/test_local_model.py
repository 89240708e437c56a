"""Answers of a real model, on a real server that speaks OpenAI's chat completions and is not OpenAI's.

What it says is not looked at, only that all of it arrives, with what it cost and why it ended.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage

from domain.agents.prompts import PromptTooLong
from providers.direct_answers import DirectAnswers
from providers.model_errors import model_error
from providers.openai import close_model, openai_model
from settings import Settings
from tests.live_server import live_server
from tests.local_model import CONTEXT, LONGEST, MODEL, LocalModel, local_model, need_local_model
from tests.rest.event_frames import arriving, read_frames, text_of

QUESTION = [HumanMessage("Tell me about taxes.")]
SENTENCE = "Nano: 9 € — größer 😀"
ENDLESS = {"ignore_eos": True}
"""What llama.cpp takes beside OpenAI's own: the answer goes on until its longest."""
IDLE_WITHIN = 20.0
"""Seconds, in which a server that has not noticed would have written only a part of what it was asked for."""
AGENTS = """
[[agent]]
name = "pricing"
title = "Pricing"
description = "Plans and prices: what nano and micro cost."
knowledge_base = "pricing"
"""
DECISION = 256
"""Tokens in which this model makes one."""
PLANS = "# Plans\n\nThe nano pricing plan costs $9 a month. The micro plan costs $19 a month.\n"


@pytest.fixture(scope="module")
def served() -> Iterator[LocalModel]:
    need_local_model()
    with local_model() as model:
        yield model


@asynccontextmanager
async def model_at(served: LocalModel, **fields: Any) -> AsyncIterator[DirectAnswers]:
    """`fields` of LangChain's model, which the product leaves alone."""
    settings = Settings(_env_file=None, openai_base_url=served.base_url, openai_model=MODEL)
    model = openai_model(settings)
    for name, value in fields.items():
        setattr(model, name, value)
    try:
        yield model
    finally:
        await close_model(model)


async def written(model: DirectAnswers) -> tuple[list[str], AIMessage]:
    texts: list[str] = []
    message = await model.write(lambda: QUESTION, texts.append)
    return texts, message


def cost(message: AIMessage) -> tuple[int, int]:
    """Tokens of question and answer."""
    assert message.usage_metadata is not None
    return message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]


async def test_a_whole_answer_arrives_letter_by_letter_as_the_library_reads_it(served: LocalModel) -> None:
    """A grammar makes the model say SENTENCE, some of whose letters are several of its tokens."""
    async with model_at(served, extra_body={"grammar": f'root ::= "{SENTENCE}"'}) as model:
        before = served.count("tokens_predicted_total")
        texts, message = await written(model)
        assert served.count("tokens_predicted_total") - before == cost(message)[1]
        librarys = await model.ainvoke(QUESTION)
    assert "".join(texts) == message.text == librarys.text == SENTENCE
    assert len(list(filter(None, texts))) > 3
    assert message.response_metadata["finish_reason"] == librarys.response_metadata["finish_reason"] == "stop"
    assert cost(message) == cost(librarys)
    assert cost(message)[0] > 0


async def test_an_answer_that_is_cut_off_by_its_length_says_so(served: LocalModel) -> None:
    async with model_at(served, max_tokens=5) as model:
        texts, message = await written(model)
    assert "".join(texts) == message.text != ""
    assert message.response_metadata["finish_reason"] == "length"
    assert cost(message)[1] == 5


async def test_stopping_in_the_middle_of_an_answer_ends_the_request_at_the_server(served: LocalModel) -> None:
    """Otherwise it would go on writing for nobody, and everybody else would wait."""
    longest = CONTEXT // 2
    before = served.count("tokens_predicted_total")
    async with model_at(served, max_tokens=longest, extra_body=ENDLESS) as model:
        begun = asyncio.Event()
        asking = asyncio.create_task(model.write(lambda: QUESTION, lambda text: begun.set() if text else None))
        await begun.wait()
        assert served.count("requests_processing") == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(IDLE_WITHIN):
            while served.count("requests_processing"):
                await asyncio.sleep(0.05)
        assert 0 < served.count("tokens_predicted_total") - before < longest
        model.max_tokens = 5
        assert (await written(model))[1].text, "the next one is answered"


async def test_more_than_the_model_can_read_at_once_is_told_as_such(served: LocalModel) -> None:
    async with model_at(served) as model:
        with pytest.raises(Exception, match=r".") as caught:
            await model.write(lambda: [HumanMessage("tax " * CONTEXT)], lambda text: None)
    assert isinstance(model_error(caught.value), PromptTooLong)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agents file with so little to know that a slow processor has soon read it."""
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "pricing").mkdir()
    (folder / "pricing" / "plans.md").write_text(PLANS, "utf-8")
    file = folder / "agents.toml"
    file.write_text(AGENTS, "utf-8")
    return file


@pytest.fixture
async def http(served: LocalModel, knowledge: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with desk_with(served, knowledge) as client:
        yield client


@asynccontextmanager
async def desk_with(
    served: LocalModel, knowledge: Path, log: Path | None = None, **settings: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in to a desk that answers with the model."""
    variables = {"OPENAI_BASE_URL": served.base_url, "OPENAI_MODEL": MODEL, "AGENTS_FILE": str(knowledge)}
    account = {"username": "ann", "email": "ann@example.com", "password": "a_strong_password"}
    with live_server(variables | settings, log=log) as url:
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=600, trust_env=False) as client:
            assert (await client.post("/auth/register", json=account)).status_code == 201
            grant = (await client.post("/auth/token", data=account)).json()
            client.headers["Authorization"] = f"Bearer {grant['access_token']}"
            yield client


async def test_a_turn_is_answered_and_stored_as_the_model_wrote_it(served: LocalModel, http: httpx.AsyncClient) -> None:
    chat_id = (await http.post("/chat/new-chat")).json()["chat_id"]
    before = served.count("tokens_predicted_total")
    asked = {"chat_id": chat_id, "message": "What is the nano pricing plan?"}
    frames = read_frames((await http.post("/chat/message", json=asked)).raise_for_status().content)
    assert [frames[0].name, frames[1].name, frames[-1].name] == ["turn_started", "route_chosen", "turn_completed"]
    question, answer = (await http.get(f"/chat/{chat_id}/messages")).json()["items"]
    assert question["text"] == asked["message"]
    assert text_of(frames) == answer["text"] == frames[-1].data["message"]["text"] != ""
    turn = (await http.post(f"/chat/turns/{frames[0].data['turn_id']}/stop")).json()  # an ended turn stays as it is
    assert (turn["status"], turn["error"]) == ("COMPLETED", None)
    assert turn["usage"]["prompt_tokens"] > 0
    assert turn["usage"]["completion_tokens"] == served.count("tokens_predicted_total") - before
    assert 0 < turn["usage"]["completion_tokens"] <= LONGEST


async def test_the_model_decides_by_json_schema_where_its_server_passes_over_tools(
    knowledge: Path, tmp_path: Path
) -> None:
    """llama.cpp takes the tool of the first request for nothing, and holds the second to the schema. The model is slow on
    a processor that others use, too, and has the time that it needs."""
    need_local_model()
    log = tmp_path / "server.log"
    by_model = {"DECISIONS": "model", "DECISION_SECONDS": "500", "TURN_DEADLINE_SECONDS": "600", "LOG_FORMAT": "json"}
    with local_model(longest=DECISION) as served:
        async with desk_with(served, knowledge, log, **by_model) as http:
            chat_id = (await http.post("/chat/new-chat")).json()["chat_id"]
            asked = {"chat_id": chat_id, "message": "What is the nano pricing plan?"}
            async with http.stream("POST", "/chat/message", json=asked) as response:
                frames = arriving(response)
                [chosen] = [await anext(frames) for _ in range(2)][1:]
            await http.post(f"/chat/turns/{chosen.data['turn_id']}/stop")
    assert [(route["agent"]["name"], route["method"]) for route in chosen.data["routes"]] == [("pricing", "MODEL")]
    told = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
    [changed] = [line for line in told if line["event"] == "reply_form_changed"]
    assert (changed["from_form"], changed["to_form"]) == ("tool", "json_schema")
