"""What every Retriever promises, over the embedded search (by words, and with an embedder) and Azure AI Search."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from domain.chunking import MARKDOWN, chunk
from domain.errors import SearchUnavailable
from domain.knowledge import Document, IndexReport
from domain.ports import Retriever
from domain.terms import terms
from providers.azure_ranking import Ranking
from providers.azure_search import AzureSearch
from providers.embedded_search import EmbeddedSearch
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.embedder import LetterEmbedder, Letters

PRICING, HELP = "pricing", "help-guides"


AZURE = {
    "azure": Ranking(),
    "azure, hybrid": Ranking(model=Letters()),
    "azure, hybrid, semantic": Ranking(model=Letters(), semantic=True),
}


@pytest.fixture(params=["words", "embeddings", *AZURE])
async def retriever(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Retriever]:
    if request.param in AZURE:
        with AzureSearchStandIn() as server:
            search = AzureSearch(server.url, server.key, "desk", (PRICING, HELP), ranking=AZURE[request.param])
            yield search
            await search.close()
    else:
        yield EmbeddedSearch(tmp_path / "index", LetterEmbedder() if request.param == "embeddings" else None)


def document(name: str, body: str, agent: str = PRICING, digest: str = "1") -> Document:
    return Document(
        name, agent, name.title(), body, MARKDOWN, f"{name} {digest}", f"https://t.example/{name}", date(2026, 9, 14)
    )


NANO = document("nano", "The nano plan costs $9 a month. Each extra return costs $6.50.")
STUDIO = document("studio", "The studio plan costs $59 a month and has six users.")
REJECTED = document("rejected", "TG-R0502 tells that last year's income does not match.")


async def test_finds_the_passage_that_answers(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    passages = await retriever.search(PRICING, "What does the studio plan cost?", 3)
    assert passages[0].chunk == chunk(STUDIO)[0]
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert passages[0].score > passages[1].score > 0


async def test_finds_codes(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    assert (await retriever.search(PRICING, "TG-R0502", 1))[0].chunk.document_id == "rejected"


async def test_gives_no_more_than_asked_for(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO])
    assert len(await retriever.search(PRICING, "plan costs", 1)) == 1
    assert len(await retriever.search(PRICING, "plan costs", 2)) == 2


@pytest.mark.parametrize(
    "question",
    [
        '"',
        "nano AND OR NOT",
        "NEAR(plan)",
        "plan*",
        "title:plan ^2",
        "a' OR 1=1 --",
        "{plan}",
        "plan\0plan",
        "+-&|!()[]~?:\\/",
    ],
)
async def test_anything_can_be_asked(retriever: Retriever, question: str) -> None:
    await retriever.index(PRICING, [NANO, STUDIO])
    await retriever.search(PRICING, question, 3)


@pytest.mark.parametrize("question", ["", "   ", "?!"])
async def test_nothing_asked_finds_nothing(retriever: Retriever, question: str) -> None:
    await retriever.index(PRICING, [NANO])
    assert await retriever.search(PRICING, question, 3) == []


async def test_agents_are_kept_apart(retriever: Retriever) -> None:
    guide = document("reset", "Reset the password of the nano plan by e-mail.", HELP)
    await retriever.index(PRICING, [NANO])
    await retriever.index(HELP, [guide])
    assert {p.chunk.agent for p in await retriever.search(PRICING, "nano plan", 9)} == {PRICING}
    assert {p.chunk.document_id for p in await retriever.search(HELP, "nano plan", 9)} == {"reset"}


async def test_indexing_does_only_what_changed(retriever: Retriever) -> None:
    assert await retriever.index(PRICING, [NANO, STUDIO]) == IndexReport(PRICING, 2, 0, 0, 0, 2)
    assert await retriever.index(PRICING, [NANO, STUDIO]) == IndexReport(PRICING, 0, 0, 0, 2, 2)
    dearer = replace(STUDIO, body="The studio plan costs $79 a month.", digest="studio 2")
    assert await retriever.index(PRICING, [dearer, REJECTED]) == IndexReport(PRICING, 1, 1, 1, 0, 2)
    texts = {p.chunk.text for p in await retriever.search(PRICING, "studio plan costs nano income", 9)}
    assert texts == {dearer.body, REJECTED.body}


async def test_a_document_that_shrinks_loses_its_chunks(retriever: Retriever) -> None:
    long = document("long", "\n\n".join(f"## Part {n}\n\n" + f"The turtle number {n} swims. " * 9 for n in range(4)))
    assert (await retriever.index(PRICING, [long])).chunks == 4
    assert (await retriever.index(PRICING, [replace(long, body="The turtle.", digest="2")])).chunks == 1
    assert [p.chunk.text for p in await retriever.search(PRICING, "turtle", 9)] == ["The turtle."]


async def test_an_empty_knowledge_base_finds_nothing(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO])
    assert (await retriever.index(PRICING, [])).removed == 1
    assert await retriever.search(PRICING, "nano plan", 3) == []


async def test_progress_counts_the_documents(retriever: Retriever) -> None:
    seen: list[int] = []
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED], seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 3


async def test_term_statistics(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    asked = [*terms("plan costs TG-R0502"), "nowhere"]
    statistics = await retriever.term_statistics(PRICING, asked)
    if statistics is not None:
        assert statistics.chunks == 3
        assert [statistics.frequency[term] for term in ("plan", "tgr0502", "nowhere")] == [2, 1, 0]


async def test_nothing_indexed_is_unavailable(retriever: Retriever) -> None:
    with pytest.raises(SearchUnavailable):
        await retriever.check()
    with pytest.raises(SearchUnavailable):
        await retriever.search(PRICING, "nano", 3)
    await retriever.index(PRICING, [NANO])
    await retriever.index(HELP, [])
    await retriever.check()
