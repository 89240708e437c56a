"""docs/evaluation.md says what is there."""

import re
from pathlib import Path

import pytest

from domain.agents.catalog import AgentCatalog
from domain.documents import read_documents
from evaluation.areas import AREAS
from evaluation.case_files import KnownDocuments, _Row, read_cases
from settings import HOUSE

PAGE = (HOUSE / "docs" / "evaluation.md").read_text("utf-8")
TOLD_TOGETHER = {"raw": "`raw_…`", "ours": "`ours_…`", "given": "`given_…`", "routed": "`routed_…`"}


def test_the_example_is_a_case(tmp_path: Path) -> None:
    example = re.search(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert example is not None
    (tmp_path / "example.jsonl").write_text(example[1].replace("\n", " "), "utf-8")
    agents = AgentCatalog.load(HOUSE / "agents.toml").all
    known = KnownDocuments.of({it.name: read_documents(it.name, it.knowledge_base) for it in agents})
    case = read_cases(tmp_path / "example.jsonl", known)[0]
    assert (case.home, case.standalone) == ("pricing", "How many users does the nano plan have?")


def test_every_field_of_a_case_has_a_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(_Row.model_fields) <= rows


@pytest.mark.parametrize("area", AREAS.values(), ids=lambda area: area.name)
def test_every_figure_is_explained(area: object) -> None:
    found = AREAS[getattr(area, "name", "")]
    assert f"`{found.name}`" in PAGE
    if found.name in ("retrieval", "latency"):
        return  # told in words
    for figure in found.figures:
        together = TOLD_TOGETHER.get(figure.name.partition("_")[0], "–")
        assert f"`{figure.name}`" in PAGE or together in PAGE, f"{found.name}.{figure.name} is not explained"
