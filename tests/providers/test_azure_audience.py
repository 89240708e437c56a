"""Who may read what in Azure AI Search: the field, the filter, and indexes of before there were audiences."""

from collections.abc import AsyncIterator, Iterator

import pytest

from domain.chunking import MARKDOWN
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document, Reader
from providers.azure_index import LAYOUT, open_to
from providers.azure_ranking import Ranking
from providers.azure_search import AzureSearch
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.embedder import Letters

INDEX = "desk-pricing"
NANO = Document("nano", "pricing", "Nano", "The nano plan costs $9 a month.", MARKDOWN, "1")
SECRET = Document("secret", "pricing", "Secret", "The secret plan costs $3 a month.", MARKDOWN, "1", audience=("ann",))


@pytest.fixture
def upstream() -> Iterator[AzureSearchStandIn]:
    with AzureSearchStandIn() as server:
        yield server


@pytest.fixture(params=[Ranking(), Ranking(words=False, model=Letters())], ids=["words", "vectors"])
async def search(request: pytest.FixtureRequest, upstream: AzureSearchStandIn) -> AsyncIterator[AzureSearch]:
    retriever = AzureSearch(upstream.url, upstream.key, "desk", ["pricing"], ranking=request.param, retries=0)
    yield retriever
    await retriever.close()


async def found(search: AzureSearch, reader: Reader) -> set[str]:
    return {p.chunk.document_id for p in await search.search("pricing", "What does a plan cost?", 9, reader)}


@pytest.mark.parametrize(
    ("username", "names"),
    [
        ("ann", "*,ann"),
        ("", "*"),
        ("o'neil", "*,o''neil"),
        ("x,*", "*"),
        ("a b", "*,a b"),
        ("') or true", "*,'') or true"),
    ],
)
def test_the_filter_is_odatas_with_the_name_as_a_string(username: str, names: str) -> None:
    assert open_to(Reader(username)) == f"audience/any(name: search.in(name, '{names}', ','))"


async def test_every_search_is_filtered_by_the_service(search: AzureSearch, upstream: AzureSearchStandIn) -> None:
    await search.index("pricing", [NANO, SECRET])
    await found(search, Reader("ann"))
    await search.check()
    *_, asked, checked = upstream.requests
    assert asked.body["filter"] == open_to(Reader("ann"))
    assert checked.body["filter"] == open_to(ANYBODY)
    if "vectorQueries" in asked.body:
        assert asked.body["vectorFilterMode"] == "preFilter"
    assert "audience" not in asked.body["select"]


async def test_who_may_read_is_kept_where_it_can_be_filtered_and_not_read(
    search: AzureSearch, upstream: AzureSearchStandIn
) -> None:
    await search.index("pricing", [NANO, SECRET])
    [field] = [field for field in upstream.definition(INDEX)["fields"] if field["name"] == "audience"]
    assert field["type"] == "Collection(Edm.String)"
    assert (field["filterable"], field["retrievable"], field["searchable"]) == (True, False, False)
    kept = {row["document_id"]: row["audience"] for row in upstream.documents(INDEX).values()}
    assert kept == {"nano": ["*"], "secret": ["ann"]}


async def test_a_row_that_says_nothing_is_nobodys(search: AzureSearch, upstream: AzureSearchStandIn) -> None:
    await search.index("pricing", [NANO, SECRET])
    for row in upstream.documents(INDEX).values():
        row["audience"] = None
    assert await found(search, Reader("ann")) == await found(search, ANYBODY) == set()


async def test_an_index_of_before_is_refused_until_it_is_indexed_again(
    search: AzureSearch, upstream: AzureSearchStandIn
) -> None:
    await search.index("pricing", [NANO, SECRET])
    definition = upstream.definition(INDEX)
    definition["fields"] = [field for field in definition["fields"] if field["name"] != "audience"]
    for row in upstream.documents(INDEX).values():
        del row["audience"]
        row["digest"] = row["digest"].replace(f"{LAYOUT}:", "1:", 1)
    for ask in (found(search, ANYBODY), search.check()):
        with pytest.raises(SearchUnavailable):
            await ask
    report = await search.index("pricing", [NANO, SECRET])
    assert (report.changed, report.unchanged) == (2, 0)
    assert (await found(search, ANYBODY), await found(search, Reader("ann"))) == ({"nano"}, {"nano", "secret"})
