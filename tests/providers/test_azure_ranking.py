"""Azure AI Search by vectors, by words and vectors, and ranked semantically, against stand-ins that really rank."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.chunking import MARKDOWN
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document
from providers.azure_openai import azure_openai_embeddings
from providers.azure_ranking import Ranking, plain_query
from providers.azure_search import EMBEDDED_AT_ONCE, AzureSearch
from providers.embedding_models import DeployedEmbeddings, EmbeddingModel, NoVectorError, QuestionVectors
from providers.openai import openai_embeddings
from settings import Settings
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.embedder import DIMENSIONS, Letters
from tests.standins.faults import Hang, Malformed, Refuse, Reset
from tests.test_cli import answerdesk

INDEX = "answerdesk-pricing"
FIELD = f"vector_{DIMENSIONS}"
SEARCH = "docs/search.post.search"


@pytest.fixture
def upstream() -> Iterator[AzureSearchStandIn]:
    with AzureSearchStandIn() as server:
        yield server


@pytest.fixture
def deployed() -> Iterator[AzureOpenAIStandIn]:
    with AzureOpenAIStandIn() as server:
        yield server


@asynccontextmanager
async def searching(
    upstream: AzureSearchStandIn, mode: str, model: EmbeddingModel | None = None, *, semantic: bool = False
) -> AsyncIterator[AzureSearch]:
    variables: dict[str, Any] = {name.lower(): value for name, value in upstream.environment().items()}
    settings = Settings(_env_file=None, azure_search_mode=mode, azure_search_semantic=semantic, **variables)
    search = AzureSearch.of(settings, ["pricing"], model=model)
    try:
        yield search
    finally:
        await search.close()


def document(name: str, text: str, digest: str = "1") -> Document:
    return Document(name, "pricing", name.title(), text, MARKDOWN, digest)


BOOKS = document("books", "Bookkeeping is part of every plan.")
CARDS = document("cards", "Credit cards are charged on the first of a month.")
SEATS = document("seats", "A plan has as many seats as you pay for.")
ALL = [BOOKS, CARDS, SEATS]


def asked(upstream: AzureSearchStandIn) -> dict[str, Any]:
    """The body of the last search."""
    body = [request.body for request in upstream.requests if request.path.endswith(SEARCH)][-1]
    assert isinstance(body, dict)
    return body


async def found(search: AzureSearch, question: str, limit: int = 3) -> list[str]:
    return [passage.chunk.document_id for passage in await search.search("pricing", question, limit, ANYBODY)]


async def test_vectors_find_what_shares_no_word(upstream: AzureSearchStandIn) -> None:
    async with searching(upstream, "keyword") as search:
        await search.index("pricing", ALL)
        assert await found(search, "bookkeepers?") == []
    async with searching(upstream, "vector", Letters()) as search:
        await search.index("pricing", ALL)
        assert (await found(search, "bookkeepers?"))[0] == "books"
    [near] = asked(upstream)["vectorQueries"]
    assert (near["fields"], near["k"], len(near["vector"])) == (FIELD, 50, DIMENSIONS)
    assert "search" not in asked(upstream)


async def test_words_and_vectors_together_merge_their_ranks(upstream: AzureSearchStandIn) -> None:
    async with searching(upstream, "hybrid", Letters()) as search:
        await search.index("pricing", ALL)
        best, *others = await search.search("pricing", "How many seats has a plan?", 3, ANYBODY)
        assert best.chunk.document_id == "seats"
        assert best.score == pytest.approx(2 / 61)  # the first by words and by vectors
        assert all(other.score < best.score for other in others)
        assert (await found(search, "bookkeepers?"))[0] == "books"
    assert asked(upstream)["search"] == "bookkeepers?"


async def test_the_semantic_ranker_has_the_last_word(upstream: AzureSearchStandIn) -> None:
    upstream.reranker = lambda question, row: {"books": 3.5, "cards": 1.0, "seats": 0.5}[row["document_id"]]
    for mode, model in (("keyword", None), ("hybrid", Letters())):
        async with searching(upstream, mode, model, semantic=True) as search:
            await search.index("pricing", ALL)
            passages = await search.search("pricing", "plan, seats or cards?", 3, ANYBODY)
        assert [(one.chunk.document_id, one.score) for one in passages] == [
            ("books", 3.5),
            ("cards", 1.0),
            ("seats", 0.5),
        ]
    assert asked(upstream)["semanticErrorHandling"] == "partial"


async def test_without_the_semantic_ranker_the_search_goes_on(upstream: AzureSearchStandIn) -> None:
    upstream.reranker = None
    async with searching(upstream, "keyword", semantic=True) as search:
        await search.index("pricing", ALL)
        passages = await search.search("pricing", "How many seats has a plan?", 3, ANYBODY)
    assert passages[0].chunk.document_id == "seats"
    assert passages[0].score > passages[1].score


async def test_the_semantic_ranker_is_asked_without_operators(upstream: AzureSearchStandIn) -> None:
    assert plain_query('+nano -"studio" (plan*) TG-R0502') == "nano studio plan TG R0502"
    async with searching(upstream, "keyword", semantic=True) as search:
        await search.index("pricing", ALL)
        assert await found(search, "cards -seats") != []
    assert asked(upstream)["search"] == "cards seats"


async def test_another_mode_writes_everything_again_once(upstream: AzureSearchStandIn) -> None:
    model = Letters()
    for mode, embedded_by in (("keyword", None), ("hybrid", model), ("keyword", None), ("vector", model)):
        async with searching(upstream, mode, embedded_by) as search:
            report = await search.index("pricing", ALL)
            assert report.added + report.changed == 3
            read = len(model.embedder.read)
            assert (await search.index("pricing", ALL)).unchanged == 3
            assert len(model.embedder.read) == read
            assert (await found(search, "credit cards"))[0] == "cards"
        vectors = [row.get(FIELD) for row in upstream.documents(INDEX).values()]
        assert all(vectors) if embedded_by else not any(vectors)


async def test_another_model_embeds_everything_again(upstream: AzureSearchStandIn) -> None:
    for model in (Letters("one"), Letters("two")):
        async with searching(upstream, "vector", model) as search:
            await search.index("pricing", ALL)
        assert {"Books\nBookkeeping is part of every plan."} <= set(model.embedder.read)


async def test_what_others_defined_in_an_index_stays(upstream: AzureSearchStandIn) -> None:
    async with searching(upstream, "keyword") as search:
        await search.index("pricing", ALL)
    upstream.definition(INDEX)["fields"].append({"name": "theirs", "type": "Edm.String", "searchable": True})
    upstream.definition(INDEX)["scoringProfiles"] = [{"name": "freshness"}]
    async with searching(upstream, "hybrid", Letters(), semantic=True) as search:
        await search.index("pricing", ALL)
    defined = upstream.definition(INDEX)
    assert {"theirs", FIELD} <= {field["name"] for field in defined["fields"]}
    assert [profile["name"] for profile in defined["scoringProfiles"]] == ["freshness"]
    assert [one["name"] for one in defined["semantic"]["configurations"]] == ["answerdesk"]


async def test_an_index_without_the_vectors_is_noticed_before_a_question_is(upstream: AzureSearchStandIn) -> None:
    async with searching(upstream, "keyword") as search:
        await search.index("pricing", ALL)
    async with searching(upstream, "vector", Letters()) as search:
        with pytest.raises(SearchUnavailable, match="cannot be searched"):
            await search.check()
        await search.index("pricing", ALL)
        await search.check()


async def test_a_model_that_fails_is_search_unavailable_until_it_answers(upstream: AzureSearchStandIn) -> None:
    model = Letters()
    async with searching(upstream, "hybrid", model) as search:
        await search.index("pricing", ALL)
        model.fault = NoVectorError("down")
        for ask in (
            search.search("pricing", "cards", 3, ANYBODY),
            search.index("pricing", [document("new", "A new one.")]),
        ):
            with pytest.raises(SearchUnavailable, match="embedding model cannot be asked"):
                await ask
        model.fault = None
        assert (await found(search, "cards"))[0] == "cards"


async def test_a_question_for_every_agent_is_embedded_once(upstream: AzureSearchStandIn) -> None:
    model = Letters()
    agents = ["pricing", "help-guides", "returns"]
    async with searching(upstream, "hybrid", model) as search:
        for agent in agents:
            await search.index(agent, ALL)
        await asyncio.gather(*(search.search(agent, "credit cards", 3, ANYBODY) for agent in agents))
        await search.search("pricing", "credit cards", 3, ANYBODY)
    assert model.embedder.read.count("credit cards") == 1


async def test_one_who_gives_up_does_not_spoil_it_for_others() -> None:
    going = asyncio.Event()

    class Slow(Letters):
        async def embed(self, texts: Any) -> list[list[float]]:
            await going.wait()
            return await super().embed(texts)

    questions = QuestionVectors(Slow())
    impatient, patient = (asyncio.create_task(questions.of("cards")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    going.set()
    assert len(await patient) == DIMENSIONS


def variables_of(deployed: AzureOpenAIStandIn, version: str) -> dict[str, Any]:
    if version == "openai":
        named = {"openai_base_url": f"{deployed.url}/v1", "openai_model": "m", "openai_embedding_model": "letters"}
        return {**named, "model_retries": 1}
    return {name.lower(): value for name, value in deployed.environment(version).items()} | {"model_retries": 1}


@asynccontextmanager
async def deployment(deployed: AzureOpenAIStandIn, version: str = "2024-10-21") -> AsyncIterator[DeployedEmbeddings]:
    settings = Settings(_env_file=None, **variables_of(deployed, version))
    model = openai_embeddings(settings) if version == "openai" else azure_openai_embeddings(settings)
    try:
        yield model
    finally:
        await model.close()


@pytest.mark.parametrize("version", ["2023-05-15", "2024-10-21", "v1", "openai"])
async def test_a_deployment_makes_the_vectors(
    upstream: AzureSearchStandIn, deployed: AzureOpenAIStandIn, version: str
) -> None:
    many = [document(f"plan {n}", f"Plan number {n} has a price.") for n in range(EMBEDDED_AT_ONCE + 1)]
    async with deployment(deployed, version) as model, searching(upstream, "hybrid", model) as search:
        await search.index("pricing", many)
        assert (await found(search, "the price of plan number 7", 1)) == ["plan 7"]
    sizes = [len(request.body["input"]) for request in deployed.requests]
    assert sizes == [1, EMBEDDED_AT_ONCE, 1, 1]  # how long vectors are, two batches, the question


async def test_a_text_longer_than_the_model_reads_is_cut(deployed: AzureOpenAIStandIn) -> None:
    async with deployment(deployed) as model:
        assert len(await model.embed(["word " * 20_000, ""])) == 2
    assert [len(text) for text in deployed.requests[0].body["input"]] == [8_000, 1]


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [(Refuse(401), 1), (Refuse(404), 1), (Refuse(500), 2), (Refuse(429, headers={"retry-after-ms": "1"}), 2),
     (Reset(), 2), (Malformed(), 1)],
    ids=repr,
)  # fmt: skip
async def test_a_deployments_failures_are_search_unavailable(
    upstream: AzureSearchStandIn, deployed: AzureOpenAIStandIn, fault: Any, attempts: int
) -> None:
    async with deployment(deployed) as model, searching(upstream, "hybrid", model) as search:
        await search.index("pricing", ALL)
        deployed.embedding_fault, before = fault, len(deployed.requests)
        with pytest.raises(SearchUnavailable, match="embedding model cannot be asked") as caught:
            await search.search("pricing", "cards", 3, ANYBODY)
        assert deployed.key not in caught.value.message
        assert len(deployed.requests) - before == attempts
        deployed.embedding_fault = None
        assert (await found(search, "cards"))[0] == "cards"


async def test_a_deployment_that_is_silent_takes_no_longer_than_the_search_may(
    upstream: AzureSearchStandIn, deployed: AzureOpenAIStandIn
) -> None:
    async with deployment(deployed) as model, searching(upstream, "hybrid", model) as search:
        await search.index("pricing", ALL)
        hasty = AzureSearch(
            upstream.url, upstream.key, "answerdesk", ["pricing"], ranking=Ranking(model=model), patience=0.2
        )
        deployed.embedding_fault = Hang()
        async with asyncio.timeout(5):
            with pytest.raises(SearchUnavailable, match="too long"):
                await hasty.search("pricing", "cards", 3, ANYBODY)
            await hasty.close()


def test_the_command_answers_from_what_words_and_vectors_find(
    upstream: AzureSearchStandIn, deployed: AzureOpenAIStandIn, tmp_path: Path
) -> None:
    variables = {
        **deployed.environment(),
        **upstream.environment(),
        "AZURE_SEARCH_MODE": "hybrid",
        "AZURE_SEARCH_SEMANTIC": "true",
    }
    indexed = answerdesk(tmp_path, "ingest", **variables)
    asked = answerdesk(tmp_path, "ask", "What is the nano pricing plan?", **variables)
    assert (indexed.returncode, asked.returncode) == (0, 0), indexed.stderr + asked.stderr
    assert "[1]" in asked.stdout
    searches = [request.body for request in upstream.requests if request.path.endswith(SEARCH)]
    assert searches[-1]["queryType"] == "semantic"
    assert searches[-1]["vectorQueries"]
    assert "Unclosed" not in indexed.stderr + asked.stderr


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"azure_search_mode": "hybrid"}, "need AZURE_ENDPOINT"),
        ({"azure_search_semantic": True}, "need AZURE_ENDPOINT"),
        ({"azure_search_mode": "vector", "azure_search_semantic": True, "azure_endpoint": "https://s", "azure_key": "k"},
         "the ranker reads words"),
        ({"azure_openai_embedding_deployment": "e"}, "needs AZURE_OPEN_API_ENDPOINT"),
        ({"openai_embedding_model": "e"}, "needs OPENAI_BASE_URL"),
    ],
)  # fmt: skip
def test_half_of_a_ranking_is_refused(variables: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Settings(_env_file=None, **variables)


def test_a_ranking_needs_words_or_vectors() -> None:
    with pytest.raises(ValueError, match="by words, by vectors or by both"):
        Ranking(words=False)
    with pytest.raises(ValueError, match="ranked semantically by words"):
        Ranking(words=False, model=Letters(), semantic=True)
