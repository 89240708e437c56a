"""Azure AI Search through the real SDK, against a stand-in on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from domain.chunking import MARKDOWN, chunk
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document, IndexReport
from providers.azure_index import index_name
from providers.azure_ranking import simple_query
from providers.azure_search import AzureSearch
from settings import Settings
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.faults import Hang, Malformed, Refuse, RefuseRows, Reset

SEARCH, WRITE = "docs/search.post.search", "docs/search.index"
AGENTS = ("pricing", "help-guides")
PATIENCE = 5.0


@pytest.fixture
def upstream() -> Iterator[AzureSearchStandIn]:
    with AzureSearchStandIn() as server:
        yield server


@pytest.fixture
async def search(upstream: AzureSearchStandIn) -> AsyncIterator[AzureSearch]:
    retriever = retriever_on(upstream)
    yield retriever
    await retriever.close()


def retriever_on(upstream: AzureSearchStandIn, patience: float = PATIENCE, **changes: Any) -> AzureSearch:
    settings: dict[str, Any] = {"azure_search_endpoint": upstream.url, "azure_search_key": upstream.key}
    return AzureSearch.of(Settings(_env_file=None, **(settings | changes)), AGENTS, patience=patience)


def document(name: str, *sections: str, digest: str = "1", agent: str = "pricing", **others: Any) -> Document:
    parts = [f"# {name.title()}", *(f"## Part {n}\n\n{text}" for n, text in enumerate(sections, 1))]
    body = "\n\n".join(parts)
    return Document(f"plans/{name}", agent, name.title(), body, MARKDOWN, f"{name}-{digest}", **others)


NANO = document(
    "nano plan",
    "The nano plan costs $9 a month and has one seat for one person, who may prepare and file up to three returns in a tax year.",
    "Refunds of the nano plan are paid within 14 days to the card that was charged for it, without a single question being asked.",
    url="https://example.com/nano",
    updated=date(2026, 3, 1),
)
STUDIO = document(
    "studio plan",
    "The studio plan costs $149 a month and has ten seats; an administrator invites all of the others by their e-mail addresses.",
    "Café customers — sole traders with a till — may add a till’s journal, up to 5 000 lines; don't add any journal twice.",
)


def writes(upstream: AzureSearchStandIn, since: int = 0) -> list[tuple[str, str]]:
    """The kind and the document or key of each row that was written or deleted."""
    rows = [
        row for request in upstream.requests[since:] if request.path.endswith(WRITE) for row in request.body["value"]
    ]
    return [(row["@search.action"], row.get("document_id", row["id"])) for row in rows]


async def test_indexes_then_finds_passages(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    dealt_with: list[int] = []
    report = await search.index("pricing", [NANO, STUDIO], dealt_with.append)
    pieces = [*chunk(NANO), *chunk(STUDIO)]
    assert report == IndexReport("pricing", added=2, changed=0, removed=0, unchanged=0, chunks=len(pieces))
    assert dealt_with == [1, 2]

    passages = await search.search("pricing", "What does the nano plan cost?", 2, ANYBODY)
    assert [passage.chunk for passage in passages] == [pieces[0], pieces[1]]
    assert passages[0].score > passages[1].score > 0
    assert passages[0].chunk.updated == date(2026, 3, 1)
    assert [p.chunk.document_id for p in await search.search("pricing", "Café journal", 1, ANYBODY)] == [STUDIO.id]
    assert await search.search("pricing", "zebra", 5, ANYBODY) == []


async def test_each_agent_has_an_index_of_its_own(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    await search.index("pricing", [NANO])
    await search.index("help-guides", [replace(STUDIO, agent="help-guides")])
    assert {p.chunk.agent for p in await search.search("help-guides", "plan costs seats", 9, ANYBODY)} == {
        "help-guides"
    }
    assert {p.chunk.document_id for p in await search.search("pricing", "plan costs seats", 9, ANYBODY)} == {NANO.id}
    assert upstream.documents("answerdesk-help-guides").keys().isdisjoint(upstream.documents("answerdesk-pricing"))


async def test_only_what_changed_is_written(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    other = document("other plan", "Nothing of this one changes between the two times that the documents are indexed.")
    await search.index("pricing", [NANO, STUDIO, other])
    held = len(upstream.documents("answerdesk-pricing"))
    since = len(upstream.requests)
    again = await search.index("pricing", [NANO, STUDIO, other])
    assert (again.unchanged, again.chunks, writes(upstream, since)) == (3, held, [])

    since = len(upstream.requests)
    shorter = document("nano plan", "The nano plan now costs $11 a month, and that is all there is to say.", digest="2")
    new = document("firm plan", "The firm plan has a price that is agreed on with each firm by itself, by telephone.")
    report = await search.index("pricing", [shorter, other, new])
    assert report == IndexReport("pricing", added=1, changed=1, removed=1, unchanged=1, chunks=3)
    written = writes(upstream, since)
    assert [what for what in written if what[0] == "upload"] == [("upload", shorter.id), ("upload", new.id)]
    assert len([what for what in written if what[0] == "delete"]) == len(chunk(NANO)) - 1 + len(chunk(STUDIO))
    assert [p.chunk.text for p in await search.search("pricing", "nano", 9, ANYBODY)] == [chunk(shorter)[0].text]
    rows = upstream.documents("answerdesk-pricing").values()
    assert {row["document_id"] for row in rows} == {shorter.id, other.id, new.id}


async def test_an_indexing_that_broke_off_is_repaired(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    await search.index("pricing", [NANO, STUDIO])
    changed = replace(NANO, body=NANO.body.replace("$9", "$10"), digest="nano plan-2")
    upstream.script(RefuseRows(1), when=WRITE)
    with pytest.raises(SearchUnavailable):
        await search.index("pricing", [changed, STUDIO])
    assert "$9" in str(upstream.documents("answerdesk-pricing"))

    report = await search.index("pricing", [changed, STUDIO])
    assert (report.changed, report.unchanged) == (1, 1)
    assert "$10" in (await search.search("pricing", "nano cost", 1, ANYBODY))[0].chunk.text


async def test_a_document_with_a_chunk_missing_is_written_again(
    upstream: AzureSearchStandIn, search: AzureSearch
) -> None:
    await search.index("pricing", [NANO])
    [key, *_] = upstream.documents("answerdesk-pricing")
    upstream.forget("answerdesk-pricing", key)
    report = await search.index("pricing", [NANO])
    assert (report.changed, report.unchanged) == (1, 0)
    assert key in upstream.documents("answerdesk-pricing")


async def test_more_chunks_than_a_page_and_than_a_batch(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    many = [
        document(f"plan {n}", f"Plan number {n} has a price that nobody has ever had to pay.") for n in range(2_050)
    ]
    assert (await search.index("pricing", many)).chunks == 2_050
    batches = [len(request.body["value"]) for request in upstream.requests if request.path.endswith(WRITE)]
    assert max(batches) == 500
    since = len(upstream.requests)
    report = await search.index("pricing", many[:-1])
    assert (report.unchanged, report.removed) == (2_049, 1)
    pages = [request for request in upstream.requests[since:] if request.path.endswith(SEARCH)]
    assert [len(request.sent[0]["value"]) for request in pages] == [1_000, 1_000, 50]
    assert all(request.body["top"] == 1_000 and "skip" not in request.body for request in pages)


async def test_large_chunks_are_written_in_small_batches(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    code = "```\n" + "x" * 300_000 + "\n```"
    large = [document(f"plan {n}", code) for n in range(6)]
    assert (await search.index("pricing", large)).chunks == 6
    sizes = [int(r.headers["content-length"]) for r in upstream.requests if r.path.endswith(WRITE)]
    assert len(sizes) == 2
    assert max(sizes) < 2**20


async def test_an_answer_in_parts_is_read_to_the_limit() -> None:
    with AzureSearchStandIn(page=2) as upstream:
        search = retriever_on(upstream)
        try:
            many = [document(f"plan {n}", f"Plan number {n} has a price like any other one.") for n in range(7)]
            await search.index("pricing", many)
            assert len(await search.search("pricing", "price", 5, ANYBODY)) == 5
            assert (await search.index("pricing", many)).unchanged == 7
        finally:
            await search.close()
        tops = [r.body["top"] for r in upstream.requests if r.path.endswith(SEARCH) and r.body["search"] == "price"]
        assert tops == [5, 3, 1]


@pytest.mark.parametrize(
    "question",
    [
        "nano -plan",
        '"nano"plan"',
        "(nano",
        "nano) + | plan*",
        "nano~2 plan^4 title_path:nano AND NOT (text:[a TO z])",
        "\\nano\\",
        "+nano -costs *",
        "nano /regex/ && || !",
        "na\u0000no nano \ud800 \u202e",
        "nano's 'plan",
        "nano " + "word " * 5_000,
        "nano " + "x" * 100_000,
    ],
)
async def test_anything_can_be_asked(upstream: AzureSearchStandIn, search: AzureSearch, question: str) -> None:
    await search.index("pricing", [NANO, STUDIO])
    assert NANO.id in {passage.chunk.document_id for passage in await search.search("pricing", question, 9, ANYBODY)}
    assert len(upstream.requests[-1].body["search"].split()) <= 200
    assert len(upstream.requests[-1].body["search"]) < 50_000


async def test_a_hyphen_excludes_nothing(search: AzureSearch) -> None:
    await search.index("pricing", [NANO, STUDIO])
    both = {p.chunk.document_id for p in await search.search("pricing", "nano -studio", 9, ANYBODY)}
    assert both == {NANO.id, STUDIO.id}
    assert {p.chunk.document_id for p in await search.search("pricing", "-nano", 9, ANYBODY)} == {NANO.id}


@pytest.mark.parametrize("question", ["", "   ", "?!", "* - +", '"', "\ud800"])
async def test_nothing_to_search_for_finds_nothing(
    upstream: AzureSearchStandIn, search: AzureSearch, question: str
) -> None:
    await search.index("pricing", [NANO])
    since = len(upstream.requests)
    assert await search.search("pricing", question, 5, ANYBODY) == []
    assert len(upstream.requests) == since


@pytest.mark.parametrize(
    ("fault", "message", "attempts"),
    [
        (Refuse(401), "refuses this server's credentials", 1),
        (Refuse(403), "refuses this server's credentials", 1),
        (Refuse(404), "not been indexed", 1),
        (Refuse(400), "cannot be searched", 1),
        (Refuse(429), "is busy", 3),
        (Refuse(500), "cannot be searched", 3),
        (Refuse(503), "is busy", 3),
        (Reset(), "cannot be searched", 3),
        (Malformed(), "cannot be searched", 1),
    ],
    ids=repr,
)
async def test_failures_are_search_unavailable(
    upstream: AzureSearchStandIn, search: AzureSearch, fault: Any, message: str, attempts: int
) -> None:
    await search.index("pricing", [NANO])
    since = len(upstream.requests)
    upstream.script(*[fault] * attempts, when=SEARCH)
    with pytest.raises(SearchUnavailable, match=message) as caught:
        await search.search("pricing", "nano", 3, ANYBODY)
    assert upstream.key not in caught.value.message
    assert len(upstream.requests) - since == attempts
    assert len(await search.search("pricing", "nano", 1, ANYBODY)) == 1


async def test_a_passing_failure_is_tried_again(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    upstream.script(Refuse(429), when=SEARCH)
    upstream.script(Refuse(503), Reset(), when=WRITE)
    assert (await search.index("pricing", [NANO])).added == 1
    upstream.script(Refuse(429), Refuse(503), when=SEARCH)
    assert len(await search.search("pricing", "nano", 1, ANYBODY)) == 1


@pytest.mark.parametrize("fault", [Hang(), Refuse(503, headers={"Retry-After": "60"})], ids=["hangs", "wait a minute"])
async def test_a_search_ends_within_its_patience(upstream: AzureSearchStandIn, search: AzureSearch, fault: Any) -> None:
    await search.index("pricing", [NANO])
    hasty = retriever_on(upstream, patience=0.2)
    upstream.script(fault, when=SEARCH)
    try:
        async with asyncio.timeout(2):
            with pytest.raises(SearchUnavailable, match="too long"):
                await hasty.search("pricing", "nano", 1, ANYBODY)
    finally:
        await hasty.close()


async def test_nobody_listening_is_search_unavailable() -> None:
    with AzureSearchStandIn() as stopped:
        search = retriever_on(stopped)
    try:
        with pytest.raises(SearchUnavailable):
            await search.search("pricing", "nano", 1, ANYBODY)
        with pytest.raises(SearchUnavailable):
            await search.index("pricing", [NANO])
    finally:
        await search.close()


async def test_check_proves_the_search_of_every_agent(upstream: AzureSearchStandIn, search: AzureSearch) -> None:
    with pytest.raises(SearchUnavailable, match="not been indexed"):
        await search.check()
    await search.index("pricing", [NANO])
    with pytest.raises(SearchUnavailable, match="not been indexed"):
        await search.check()
    await search.index("help-guides", [])
    await search.check()
    upstream.script(Refuse(403), when=SEARCH)
    with pytest.raises(SearchUnavailable, match="credentials"):
        await search.check()


async def test_a_wrong_key_is_search_unavailable(upstream: AzureSearchStandIn) -> None:
    search = retriever_on(upstream, azure_search_key="wrong")
    try:
        with pytest.raises(SearchUnavailable, match="credentials"):
            await search.index("pricing", [NANO])
    finally:
        await search.close()


async def test_says_nothing_about_terms(search: AzureSearch) -> None:
    assert await search.term_statistics("pricing", ["nano"], ANYBODY) is None


def test_an_index_name_is_legal_or_refused() -> None:
    assert index_name("answerdesk", "help-guides") == "answerdesk-help-guides"
    assert index_name("My_Desk", "a") == "my-desk-a"
    for prefix, agent in [("desk", "a--b"), ("desk", "a-"), ("-desk", "a"), ("desk", "é"), ("d" * 120, "pricing12")]:
        with pytest.raises(ValueError, match="AZURE_SEARCH_INDEX_PREFIX"):
            index_name(prefix, agent)


def test_operators_are_escaped() -> None:
    assert simple_query('a+b | -c "d" (e)') == r"a\+b \-c \"d\" \(e\)"
    assert simple_query("e-file TG-R0502 don't") == r"e\-file TG\-R0502 don\'t"


def test_without_settings_there_is_nothing_to_search() -> None:
    with pytest.raises(ValueError, match="not configured"):
        AzureSearch.of(Settings(_env_file=None), AGENTS)
