"""Documents are read where a source points to them, by who may be routed to their agent."""

import pytest

from domain.chunking import MARKDOWN
from domain.knowledge import Document
from tests.graph.desk import Desk, code_of

ASK = "query ($agent: String!, $id: String!) { document(agent: $agent, documentId: $id) { agent documentId title url updated text } }"
NANO = Document(
    "plans/nano",
    "pricing",
    "Nano",
    "Nano costs $9 a month.\n\n## Users\n\nIt has one user, and no more can be added.\n",
    MARKDOWN,
    "1",
    "https://t.example/nano",
)


@pytest.fixture(autouse=True)
async def indexed(desk: Desk) -> None:
    await desk.retriever.index("pricing", [NANO])


async def test_a_document_is_read_as_it_is_cited(desk: Desk, token: str) -> None:
    found = (await desk.data(ASK, {"agent": "pricing", "id": "plans/nano"}, token))["document"]
    assert found == {
        "agent": "pricing",
        "documentId": "plans/nano",
        "title": "Nano",
        "url": "https://t.example/nano",
        "updated": None,
        "text": found["text"],
    }
    assert "Nano costs $9 a month." in found["text"]
    assert "It has one user, and no more can be added." in found["text"]


@pytest.mark.parametrize(("agent", "name"), [("pricing", "plans"), ("nobody", "plans/nano"), ("", "")])
async def test_what_is_not_there_is_not_found(desk: Desk, token: str, agent: str, name: str) -> None:
    assert code_of(await desk.ask(ASK, {"agent": agent, "id": name}, token)) == "NOT_FOUND"


async def test_strangers_read_nothing(desk: Desk) -> None:
    assert code_of(await desk.ask(ASK, {"agent": "pricing", "id": "plans/nano"})) == "UNAUTHENTICATED"


async def test_a_knowledge_base_without_an_index_cannot_be_read(desk: Desk, token: str) -> None:
    assert code_of(await desk.ask(ASK, {"agent": "help-guides", "id": "x"}, token)) == "SEARCH_UNAVAILABLE"
