"""A document with an audience, behind the real server: nobody else meets a word of it, wherever one could be shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_server import live_server
from tests.rest.conftest import User, signed_up
from tests.rest.event_frames import Frame, read_frames
from tests.standins.azure_openai import AzureOpenAIStandIn, quote_first_passage
from tests.standins.azure_search import AzureSearchStandIn
from tests.test_cli import answerdesk

INSIDER = "insider"
PLANS = "# Plans\n\nThe nano plan costs $9 a month.\n\n## Micro\n\nThe micro plan costs $19 a month for four users.\n"
SECRET = f"""---
title: Reseller prices
audience: [somebody, {INSIDER}]
---
# Reseller prices

The platypus plan costs $3 a month, and resellers pay for it by wire.
"""
GUIDE = "# Passwords\n\nReset a password under Settings.\n"
AGENTS = """
[[agent]]
name = "pricing"
title = "Pricing"
description = "Plans and prices."
knowledge_base = "pricing"

[[agent]]
name = "guides"
title = "Guides"
description = "How to use the product."
knowledge_base = "guides"
"""
ASKED = "What does the platypus plan cost?"
HIDDEN = ("$3", "wire", "Reseller", "resellers")
"""What stands nowhere but in the document; its `platypus` is in the question, too."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audience")
    for name, text in (("pricing/plans.md", PLANS), ("pricing/secret.md", SECRET), ("guides/reset.md", GUIDE)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "agents.toml").write_text(AGENTS, "utf-8")
    return folder


@pytest.fixture(scope="module", params=["embedded", "azure"])
def address(request: pytest.FixtureRequest, scripted: AzureOpenAIStandIn, folder: Path) -> Iterator[str]:
    variables = {**scripted.environment(), "AGENTS_FILE": str(folder / "agents.toml")}
    with AzureSearchStandIn() as search:
        if request.param == "azure":
            variables |= {**search.environment(), "AZURE_SEARCH_MODE": "hybrid", "AZURE_SEARCH_SEMANTIC": "true"}
            done = answerdesk(folder, "ingest", **variables)
            assert done.returncode == 0, done.stderr
        with live_server(variables) as url:
            yield f"{url}/api/v1"


@pytest.fixture
async def insider(http: httpx.AsyncClient) -> User:
    return await signed_up(http, INSIDER)


async def asked(user: User, chat_id: int, question: str = ASKED, **fields: Any) -> list[Frame]:
    return read_frames(await user.asked(chat_id, question, **fields))


async def test_its_audience_is_answered_from_it_and_nobody_else_meets_a_word(
    insider: User, user: User, upstream: AzureOpenAIStandIn
) -> None:
    upstream.otherwise = quote_first_passage
    mine = await asked(insider, await insider.new_chat())
    assert [source["document_id"] for source in mine[-1].data["message"]["sources"]] == ["secret"]
    assert "$3 a month" in mine[-1].data["message"]["text"]

    before, chat_id = len(upstream.requests), await user.new_chat()
    told = [*await asked(user, chat_id), *await asked(user, chat_id, "And how is it paid for?")]
    told += await asked(user, await user.new_chat(), agents=["pricing"])
    again = await user.ok("POST", f"/chat/messages/{told[-1].data['message']['id']}/regenerate")
    stream = await user.call("GET", f"/chat/turns/{again['id']}/events")
    read = await user.ok("GET", f"/chat/{chat_id}/messages")
    sent = [exchange.body for exchange in upstream.requests[before:]]
    everything = json.dumps([[frame.data for frame in told], read, sent], ensure_ascii=False) + stream.text
    assert not [word for word in HIDDEN if word in everything]
    assert "turn_completed" in stream.text


async def test_a_source_points_at_the_words_of_its_document(
    insider: User, user: User, upstream: AzureOpenAIStandIn
) -> None:
    upstream.otherwise = quote_first_passage
    [source] = (await asked(insider, await insider.new_chat()))[-1].data["message"]["sources"]
    read = await insider.ok("GET", f"/chat/documents/{source['agent']}/{source['document_id']}")
    assert read.keys() == {"agent", "document_id", "title", "url", "updated", "text"}
    said = [read["text"][span["start"] : span["end"]] for span in source["document_spans"]]
    assert len(said) == len(source["spans"]) > 0
    assert all("platypus plan costs $3 a month" in words for words in said)
    assert (read["title"], source["flagged"]) == ("Reseller prices", False)
    for gone in (source["document_id"], "nothing/here"):
        refused = await user.call("GET", f"/chat/documents/{source['agent']}/{gone}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_no_agent_is_chosen_for_what_the_viewer_may_not_read(insider: User, user: User) -> None:
    """The words of the document would have led there."""
    question = "How do resellers pay by wire?"
    [mine] = [
        frame for frame in await asked(insider, await insider.new_chat(), question) if frame.name == "route_chosen"
    ]
    [theirs] = [frame for frame in await asked(user, await user.new_chat(), question) if frame.name == "route_chosen"]
    assert [route["agent"]["name"] for route in mine.data["routes"]] == ["pricing"]
    assert theirs.data["routes"] == []
