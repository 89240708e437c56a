"""What we send to Azure, and what its stand-ins answer, against Azure's own API descriptions."""

import re
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from domain.agents.catalog import Agent
from domain.agents.decisions import DecisionTask
from domain.agents.reply_forms import ReplyForm
from domain.agents.state import Conversation, Line
from domain.chunking import MARKDOWN
from domain.knowledge import Document, Reader
from domain.model import Role
from providers.azure_openai import azure_openai_embeddings, azure_openai_model
from providers.azure_ranking import Ranking
from providers.azure_search import AzureSearch
from providers.model_errors import model_error
from providers.openai import close_model
from settings import HOUSE, Settings
from tests.standins.azure_openai import AzureOpenAIStandIn, Replies
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.embedder import Letters
from tests.standins.faults import ErrorInStream, FilterAnswer, FilterPrompt, Refuse
from tests.standins.loopback import Exchange
from tests.standins.specs import DATED, SEARCH_DOCUMENTS, SEARCH_INDEXES, V1, complaints, missing

# What the service does and its description does not know: the first chunk of a stream is about no completion yet,
# a field can be a collection, and there are nulls where nothing is to be said.
UNDESCRIBED = re.compile(
    r"\$\.object: '' is not one of|\$\.fields\[\d+\]\.type: 'Collection\(Edm\.\w+\)' is not one of"
    r"|\$\.value\[\d+\]\.errorMessage: None is not|\$\.error\.type: None is not"
)

_why = missing()
pytestmark = pytest.mark.skipif(_why is not None, reason=f"Azure's API descriptions cannot be used: {_why}")

MESSAGES = [SystemMessage("Be brief."), HumanMessage("Hello?"), AIMessage("Hello."), HumanMessage("How much?")]
NAMES = {
    DATED: ("createChatCompletionRequest", "createChatCompletionStreamResponse", "createChatCompletionResponse"),
    V1: (
        "AzureCreateChatCompletionRequest",
        "AzureCreateChatCompletionStreamResponse",
        "AzureCreateChatCompletionResponse",
    ),
}


@pytest.mark.parametrize(("version", "document"), [("2025-03-01-preview", DATED), ("v1", V1)])
async def test_chat_completions_fit_the_description(version: str, document: str) -> None:
    with AzureOpenAIStandIn() as upstream:
        settings = Settings(_env_file=None, **{k.lower(): v for k, v in upstream.environment(version).items()})  # type: ignore[arg-type]
        model = azure_openai_model(settings)
        try:
            for step in ("Nine dollars [1].", FilterAnswer(1)):
                upstream.script(step)
                async for _ in model.astream(MESSAGES):
                    pass
            upstream.script("Nine dollars [1].")
            await model.ainvoke(MESSAGES)
            for fault in (FilterPrompt(), Refuse(401), ErrorInStream()):
                upstream.script(fault)
                with pytest.raises(Exception, match=r".") as caught:
                    [chunk async for chunk in model.astream(MESSAGES)]
                assert model_error(caught.value) is not None
        finally:
            await close_model(model)
        asked, streamed, whole = NAMES[document]
        first, filtered, at_once, *refused = upstream.requests
        for exchange in upstream.requests:
            assert faults(document, asked, exchange.body) == []
        for chunk in [*first.sent, *filtered.sent]:
            assert faults(document, streamed, chunk) == []
        assert faults(document, whole, at_once.sent[0]) == []
        if document == DATED:
            assert [faults(document, "errorResponse", exchange.sent[0]) for exchange in refused[:2]] == [[], []]


@pytest.mark.parametrize("form", ReplyForm)
@pytest.mark.parametrize(("version", "document"), [("2025-03-01-preview", DATED), ("v1", V1)])
async def test_decisions_fit_the_description_in_every_form(version: str, document: str, form: ReplyForm) -> None:
    said = Conversation((Line(Role.USER, "How much is nano?"), Line(Role.ASSISTANT, "Nine dollars.")))
    task = DecisionTask("And micro?", said, [Agent("pricing", "Pricing", "Plans.", HOUSE)], routes=True, strict=True)
    routes = [{"agent": "pricing", "confidence": 1, "reason": "It is a plan.", "questions": []}]
    with AzureOpenAIStandIn() as upstream:
        settings = Settings(_env_file=None, **{k.lower(): v for k, v in upstream.environment(version).items()})  # type: ignore[arg-type]
        model = azure_openai_model(settings)
        upstream.script(Replies({"question": "How much is micro?", "routes": routes}))
        try:
            reply = await model.bind(**task.schema.asked_in(form)).ainvoke(task.messages(form))
        finally:
            await close_model(model)
        asked, _, whole = NAMES[document]
        [exchange] = upstream.requests
    assert task.read(task.schema.read(reply, form)).standalone_question == "How much is micro?"
    assert faults(document, asked, exchange.body) == []
    assert faults(document, whole, exchange.sent[0]) == []
    if "response_format" in exchange.body:  # which the undated description tells apart by its kind only
        described = {DATED: "ResponseFormatJsonSchema", V1: "OpenAI.ResponseFormatJsonSchema"}[document]
        assert faults(document, described, exchange.body["response_format"]) == []
        assert faults(document, described, {"type": "json_schema", "json_schema": {"strict": True}}) != []


@pytest.mark.parametrize("version", ["v1"])
async def test_embeddings_fit_the_description(version: str) -> None:
    with AzureOpenAIStandIn() as upstream:
        settings = Settings(_env_file=None, **{k.lower(): v for k, v in upstream.environment(version).items()})  # type: ignore[arg-type]
        model = azure_openai_embeddings(settings)
        await model.embed(["The nano plan", "costs nine dollars."])
        await model.close()
        [exchange] = upstream.requests
        assert faults(V1, "AzureCreateEmbeddingRequest", exchange.body) == []
        assert faults(V1, "OpenAI.CreateEmbeddingResponse", exchange.sent[0]) == []


@pytest.mark.parametrize(
    "ranking",
    [
        Ranking(),
        Ranking(semantic=True),
        Ranking(words=False, model=Letters()),
        Ranking(model=Letters(), semantic=True),
    ],
    ids=["words", "words, semantic", "vectors", "both, semantic"],
)
async def test_indexing_and_searching_fit_the_description(ranking: Ranking) -> None:
    with AzureSearchStandIn() as upstream:
        search = AzureSearch(upstream.url, upstream.key, "desk", ["pricing"], ranking=ranking)
        documents = [
            Document(f"plan-{n}", "pricing", f"Plan {n}", f"# Plan {n}\n\nIt costs ${n} a month.", MARKDOWN, "1")
            for n in range(3)
        ]
        try:
            await search.index("pricing", documents)
            await search.index("pricing", documents[1:])
            await search.search("pricing", "What does it cost?", 2, Reader("ann"))
        finally:
            await search.close()
        for exchange in upstream.requests:
            assert search_faults(exchange) == []
        assert {exchange.path.rpartition("/")[2] for exchange in upstream.requests} == {
            "indexes('desk-pricing')",
            "search.index",
            "search.post.search",
        }


def search_faults(exchange: Exchange) -> list[str]:
    match exchange.path.rpartition("/")[2]:
        case "search.index":
            document, asked, answered = SEARCH_DOCUMENTS, "IndexBatch", "IndexDocumentsResult"
        case "search.post.search":
            document, asked, answered = SEARCH_DOCUMENTS, "SearchRequest", "SearchDocumentsResult"
        case _:
            document, asked, answered = SEARCH_INDEXES, "SearchIndex", "SearchIndex"
    found = faults(document, asked, exchange.body) if exchange.method != "GET" else []
    if exchange.status != 404:
        found += faults(document, answered, exchange.sent[0])
    return found + kinds_of_faults(exchange.body or {})


def kinds_of_faults(body: dict[str, Any]) -> list[str]:
    """What is described by its kind, which JSON Schema does not look at."""
    vectors = body.get("vectorSearch") or {}
    described = [
        *((SEARCH_DOCUMENTS, "RawVectorQuery", query) for query in body.get("vectorQueries", [])),
        *((SEARCH_INDEXES, "HnswVectorSearchAlgorithmConfiguration", one) for one in vectors.get("algorithms", [])),
    ]
    return [line for document, schema, part in described for line in faults(document, schema, part)]


def faults(document: str, schema: str, body: Any) -> list[str]:
    return [line for line in complaints(document, schema, body) if not UNDESCRIBED.match(line)]


def test_a_body_that_does_not_fit_is_complained_about() -> None:
    assert complaints(DATED, "createChatCompletionRequest", {"messages": "Hello"}) != []
    assert complaints(SEARCH_DOCUMENTS, "IndexBatch", {"value": [{"@search.action": "burn"}]}) != []
    assert complaints(V1, "AzureCreateChatCompletionStreamResponse", {"id": 1}) != []
