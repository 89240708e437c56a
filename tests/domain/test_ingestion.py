"""Ingestion, over the embedded search."""

from pathlib import Path

import pytest

from domain.documents import KnowledgeError
from domain.errors import SearchUnavailable
from domain.ingestion import Ingestion
from domain.knowledge import ANYBODY, IndexReport
from providers.embedded_search import EmbeddedSearch


@pytest.fixture
def bases(tmp_path: Path) -> list[tuple[str, Path]]:
    for agent in ("pricing", "help"):
        (tmp_path / agent).mkdir()
        for name in ("one", "two"):
            (tmp_path / agent / f"{name}.md").write_text(f"# {name}\n\nThis is about {agent} number {name}.", "utf-8")
    return [(agent, tmp_path / agent) for agent in ("pricing", "help")]


async def test_every_knowledge_base_is_indexed_with_progress(tmp_path: Path, bases: list[tuple[str, Path]]) -> None:
    search, seen = EmbeddedSearch(tmp_path / "index"), []
    reports = await Ingestion(search).run(bases, lambda *step: seen.append(step))
    assert reports == [IndexReport("pricing", 2, 0, 0, 0, 2), IndexReport("help", 2, 0, 0, 0, 2)]
    assert seen == [(agent, done, 2) for agent in ("pricing", "help") for done in (0, 1, 2)]
    assert (await search.search("help", "number two", 1, ANYBODY))[0].chunk.document_id == "two"


async def test_a_second_run_has_only_the_changes_to_do(tmp_path: Path, bases: list[tuple[str, Path]]) -> None:
    ingestion = Ingestion(EmbeddedSearch(tmp_path / "index"))
    await ingestion.run(bases)
    (bases[0][1] / "one.md").write_text("# one\n\nOther text.", "utf-8")
    (bases[1][1] / "two.md").unlink()
    assert await ingestion.run(bases) == [IndexReport("pricing", 0, 1, 0, 1, 2), IndexReport("help", 0, 0, 1, 1, 1)]


async def test_a_broken_document_changes_no_index(tmp_path: Path, bases: list[tuple[str, Path]]) -> None:
    (bases[1][1] / "two.md").write_bytes(b"\xff")
    search = EmbeddedSearch(tmp_path / "index")
    with pytest.raises(KnowledgeError, match=r"two\.md"):
        await Ingestion(search).run(bases)
    with pytest.raises(SearchUnavailable):
        await search.search("pricing", "number", 1, ANYBODY)
