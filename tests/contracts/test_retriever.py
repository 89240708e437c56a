"""What every Retriever promises, over the embedded search (by words, and with an embedder) and Azure AI Search."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from domain.chunking import MARKDOWN, chunk
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document, DocumentText, IndexReport, Reader
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
    passages = await retriever.search(PRICING, "What does the studio plan cost?", 3, ANYBODY)
    assert passages[0].chunk == chunk(STUDIO)[0]
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert passages[0].score > passages[1].score > 0


async def test_finds_codes(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    assert (await retriever.search(PRICING, "TG-R0502", 1, ANYBODY))[0].chunk.document_id == "rejected"


async def test_gives_no_more_than_asked_for(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO])
    assert len(await retriever.search(PRICING, "plan costs", 1, ANYBODY)) == 1
    assert len(await retriever.search(PRICING, "plan costs", 2, ANYBODY)) == 2


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
    await retriever.search(PRICING, question, 3, ANYBODY)


@pytest.mark.parametrize("question", ["", "   ", "?!"])
async def test_nothing_asked_finds_nothing(retriever: Retriever, question: str) -> None:
    await retriever.index(PRICING, [NANO])
    assert await retriever.search(PRICING, question, 3, ANYBODY) == []


async def test_agents_are_kept_apart(retriever: Retriever) -> None:
    guide = document("reset", "Reset the password of the nano plan by e-mail.", HELP)
    await retriever.index(PRICING, [NANO])
    await retriever.index(HELP, [guide])
    assert {p.chunk.agent for p in await retriever.search(PRICING, "nano plan", 9, ANYBODY)} == {PRICING}
    assert {p.chunk.document_id for p in await retriever.search(HELP, "nano plan", 9, ANYBODY)} == {"reset"}


async def test_indexing_does_only_what_changed(retriever: Retriever) -> None:
    assert await retriever.index(PRICING, [NANO, STUDIO]) == IndexReport(PRICING, 2, 0, 0, 0, 2)
    assert await retriever.index(PRICING, [NANO, STUDIO]) == IndexReport(PRICING, 0, 0, 0, 2, 2)
    dearer = replace(STUDIO, body="The studio plan costs $79 a month.", digest="studio 2")
    assert await retriever.index(PRICING, [dearer, REJECTED]) == IndexReport(PRICING, 1, 1, 1, 0, 2)
    texts = {p.chunk.text for p in await retriever.search(PRICING, "studio plan costs nano income", 9, ANYBODY)}
    assert texts == {dearer.body, REJECTED.body}


async def test_a_document_that_shrinks_loses_its_chunks(retriever: Retriever) -> None:
    long = document("long", "\n\n".join(f"## Part {n}\n\n" + f"The turtle number {n} swims. " * 9 for n in range(4)))
    assert (await retriever.index(PRICING, [long])).chunks == 4
    assert (await retriever.index(PRICING, [replace(long, body="The turtle.", digest="2")])).chunks == 1
    assert [p.chunk.text for p in await retriever.search(PRICING, "turtle", 9, ANYBODY)] == ["The turtle."]


async def test_an_empty_knowledge_base_finds_nothing(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO])
    assert (await retriever.index(PRICING, [])).removed == 1
    assert await retriever.search(PRICING, "nano plan", 3, ANYBODY) == []


async def test_progress_counts_the_documents(retriever: Retriever) -> None:
    seen: list[int] = []
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED], seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 3


async def test_a_documents_chunks_are_there_in_order_for_who_may_read_it(retriever: Retriever) -> None:
    long = document(
        "o'neil/long and short", "\n\n".join(f"## Part {n}\n\n{f'Words of part {n}. ' * 30}" for n in range(12))
    )
    await retriever.index(PRICING, [NANO, long, SECRET])
    chunks = await retriever.chunks(PRICING, long.id, BOB)
    assert chunks == chunk(long)
    text = DocumentText.of(chunks).text
    starts = [it.start or 0 for it in chunks]
    assert [text[start : start + len(it.text)] for start, it in zip(starts, chunks, strict=True)] == [
        it.text for it in chunks
    ]
    assert (starts[0], len(starts)) == (0, 12)
    assert await retriever.chunks(PRICING, SECRET.id, ANN) == chunk(SECRET)
    assert await retriever.chunks(PRICING, SECRET.id, BOB) == []
    for missing in ("long", "nano' or true", ""):
        assert await retriever.chunks(PRICING, missing, ANN) == []


async def test_term_statistics(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    asked = [*terms("plan costs TG-R0502"), "nowhere"]
    statistics = await retriever.term_statistics(PRICING, asked, ANYBODY)
    if statistics is not None:
        assert statistics.chunks == 3
        assert [statistics.frequency[term] for term in ("plan", "tgr0502", "nowhere")] == [2, 1, 0]


async def test_a_likeness_is_a_cosine(retriever: Retriever) -> None:
    asked = "studio plan"
    found = await retriever.likeness(asked, [asked, "zzz", asked])
    if found is not None:
        same, other, again = found
        assert same == again == pytest.approx(1)
        assert other < 0.5
        assert await retriever.likeness(asked, []) == []
    await retriever.index(PRICING, [NANO, STUDIO, REJECTED])
    for passage in await retriever.search(PRICING, asked, 3, ANYBODY):
        if found is None:
            assert passage.likeness is None
        else:
            text = f"{passage.chunk.title}\n{passage.chunk.text}"
            [expected] = await retriever.likeness(asked, [text]) or []
            assert passage.likeness == pytest.approx(expected, abs=1e-2)


async def test_nothing_indexed_is_unavailable(retriever: Retriever) -> None:
    with pytest.raises(SearchUnavailable):
        await retriever.check()
    with pytest.raises(SearchUnavailable):
        await retriever.search(PRICING, "nano", 3, ANYBODY)
    await retriever.index(PRICING, [NANO])
    await retriever.index(HELP, [])
    await retriever.check()


# ---------------------------------------------------------------- documents with an audience

ANN, BOB = Reader("ann"), Reader("bob")
ODD = (Reader("Ann"), Reader("ann "), Reader("o'neil"), Reader("x','ann"), Reader("*"), Reader("ann,bob"), Reader("%"))
"""Who are not ann, whatever a query makes of their names."""
SECRET = replace(document("secret", "The reseller plan costs $3 a month, for platypuses."), audience=("ann", "carla"))


async def found(retriever: Retriever, reader: Reader, question: str = "plan costs platypuses") -> set[str]:
    return {p.chunk.document_id for p in await retriever.search(PRICING, question, 9, reader)}


async def test_a_document_with_an_audience_is_found_by_nobody_else(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, SECRET, STUDIO])
    assert await found(retriever, ANN) == {"nano", "secret", "studio"}
    assert await found(retriever, Reader("carla")) == {"nano", "secret", "studio"}
    for reader in (BOB, ANYBODY, *ODD):
        for _ in range(2):  # what was remembered for ann is not for others
            assert await found(retriever, reader) == {"nano", "studio"}, reader


@pytest.mark.parametrize("name", ["o'neil", "zoë.m-2", "a+b@example.com", "名前"])
async def test_every_name_can_be_in_an_audience(retriever: Retriever, name: str) -> None:
    await retriever.index(PRICING, [NANO, replace(SECRET, audience=(name,))])
    assert await found(retriever, Reader(name)) == {"nano", "secret"}
    assert await found(retriever, ANN) == {"nano"}


async def test_its_words_count_for_nobody_else(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, SECRET, STUDIO])
    asked = terms("plan platypuses")
    plan, platypuses = asked
    for reader, chunks, frequency in ((ANN, 3, (3, 1)), (BOB, 2, (2, 0)), (ANN, 3, (3, 1))):
        told = await retriever.term_statistics(PRICING, asked, reader)
        if told is not None:
            assert (told.chunks, told.frequency[plan], told.frequency[platypuses]) == (chunks, *frequency)


async def test_who_may_not_read_it_sees_the_scores_of_an_index_without_it(
    retriever: Retriever, request: pytest.FixtureRequest
) -> None:
    """Azure AI Search counts words over the whole index, so its scores by words do differ; who is found does not."""
    by_words = request.node.callspec.params["retriever"] == "azure"
    asked = "What does the studio plan cost platypuses?"
    await retriever.index(PRICING, [NANO, STUDIO])
    without = await retriever.search(PRICING, asked, 9, BOB)
    await retriever.index(PRICING, [NANO, SECRET, STUDIO])
    assert await found(retriever, ANN) == {"nano", "secret", "studio"}
    beside = await retriever.search(PRICING, asked, 9, BOB)
    assert [passage.chunk for passage in beside] == [passage.chunk for passage in without]
    assert (beside == without) is not by_words


async def test_an_audience_is_changed_by_indexing_again(retriever: Retriever) -> None:
    await retriever.index(PRICING, [NANO, SECRET])
    await retriever.index(PRICING, [NANO, replace(SECRET, audience=("bob",), digest="secret 2")])
    assert (await found(retriever, ANN), await found(retriever, BOB)) == ({"nano"}, {"nano", "secret"})
    await retriever.index(PRICING, [NANO, replace(SECRET, audience=(), digest="secret 3")])
    assert await found(retriever, ANYBODY) == {"nano", "secret"}
    await retriever.index(PRICING, [NANO])
    assert await found(retriever, BOB) == {"nano"}


async def test_an_index_of_nothing_else_is_empty_for_who_may_not_read_it(retriever: Retriever) -> None:
    await retriever.index(PRICING, [SECRET])
    assert (await found(retriever, BOB), await found(retriever, ANN)) == (set(), {"secret"})
    told = await retriever.term_statistics(PRICING, ["plan"], BOB)
    assert told is None or (told.chunks, told.frequency["plan"]) == (0, 0)
    await retriever.index(HELP, [])
    await retriever.check()
