"""Cases of one's own: what is read of them, and what is told of those that cannot be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.agents.catalog import AgentCatalog
from domain.agents.state import Line
from domain.documents import read_documents
from domain.model import Role
from evaluation.case_files import KnownDocuments, read_cases
from evaluation.cases import Case, EvaluationError, Place
from tests.evaluation.tiny import CASES, write_desk


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return write_desk(tmp_path)


@pytest.fixture
def known(desk: Path) -> KnownDocuments:
    agents = AgentCatalog.load(desk / "agents.toml").all
    return KnownDocuments.of({agent.name: read_documents(agent.name, agent.knowledge_base) for agent in agents})


def read(desk: Path, known: KnownDocuments, *rows: Any) -> list[Case]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (desk / "own.jsonl").write_text("\n".join(lines), "utf-8")
    return read_cases(desk / "own.jsonl", known)


def test_every_field_is_read(desk: Path, known: KnownDocuments) -> None:
    crater, follow, outside, unknown = read(desk, known, *CASES)
    assert crater == Case(
        id="own:1",
        group="own:1",
        question="How wide is the largest crater of the moon?",
        accepted=(frozenset({"sky"}),),
        relevant=(Place("sky", "moon", "Craters"),),
        holds=(("2,500",), ("kilometres", "km")),
        lacks=("miles",),
        answerable=True,
        tags=("direct",),
    )
    assert follow.id == "follow"
    assert follow.history == (Line(Role.USER, "What is a bond?"),)
    assert follow.standalone == "How often does a bond pay interest?"
    assert outside.accepted == (frozenset(),)
    assert outside.answerable is False
    assert (unknown.accepted, unknown.answerable) == (None, False)


def test_either_of_two_agents_may_be_right(desk: Path, known: KnownDocuments) -> None:
    both, either = read(
        desk, known, {"question": "q", "agents": ["sky", "money"]}, {"question": "q", "agents": ["sky|money"]}
    )
    assert both.accepted == (frozenset({"sky", "money"}),)
    assert both.home is None
    assert either.accepted == (frozenset({"sky"}), frozenset({"money"}))
    assert either.home is None


def test_rows_of_one_conversation_belong_together(desk: Path, known: KnownDocuments) -> None:
    found = read(desk, known, {"question": "q", "conversation": "c"}, {"question": "r", "conversation": "c", "id": "x"})
    assert [(case.id, case.group) for case in found] == [("own:1", "c"), ("x", "c")]


def test_blank_lines_and_a_mark_in_front_are_no_matter(desk: Path, known: KnownDocuments) -> None:
    (desk / "own.jsonl").write_bytes(
        b'\xef\xbb\xbf{"question": "one"}\r\n\r\n  \n{"question": "two \xe2\x80\xa8 lines"}\n'
    )
    assert [case.id for case in read_cases(desk / "own.jsonl", known)] == ["own:1", "own:4"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{", "own.jsonl:2: this is not JSON: .* at column"),
        ("[]", "own.jsonl:2: write one object a line"),
        ('{"question": "q", "question": "r"}', "own.jsonl:2: question: is there twice"),
        ({}, "own.jsonl:2: question: is missing"),
        ({"question": 3}, "own.jsonl:2: question: input should be a valid string"),
        ({"question": "  "}, "own.jsonl:2: question: "),
        ({"question": "x" * 8_001}, "own.jsonl:2: question: "),
        ({"question": "q", "answer": "a"}, "own.jsonl:2: answer: there is no such field"),
        ({"question": "q", "history": [{"role": "bot", "text": "t"}]}, "own.jsonl:2: history.0.role: "),
        ({"question": "q", "history": [{"role": "user"}]}, "own.jsonl:2: history.0.text: is missing"),
        ({"question": "q", "agents": ["mars"]}, "own.jsonl:2: agents: no agent is called “mars”; there are sky, money"),
        ({"question": "q", "relevant": ["nowhere"]}, "own.jsonl:2: relevant.0: there is no document “nowhere”"),
        ({"question": "q", "relevant": ["sky:loans"]}, "own.jsonl:2: relevant.0: there is no document “loans”"),
        ({"question": "q", "relevant": ["moon#Seas"]}, "own.jsonl:2: relevant.0: “moon” has no section “Seas”"),
        ({"question": "q", "holds": [[]]}, "own.jsonl:2: holds.0"),
        ({"question": "q", "holds": "x"}, "own.jsonl:2: holds: "),
        ({"question": "q", "agents": [], "holds": ["x"]}, "own.jsonl:2: agents: nobody is to be asked"),
        ({"question": "q", "answerable": "yes"}, "own.jsonl:2: answerable: "),
        ({"question": "q", "id": "first"}, "own.jsonl:2: id: “first” is the id of line 1 too"),
        ('{"question": ' + "[" * 100_000 + "}", "own.jsonl:2: this is "),
    ],
)
def test_what_does_not_fit_is_told_with_its_line_and_field(
    desk: Path, known: KnownDocuments, row: Any, complaint: str
) -> None:
    with pytest.raises(EvaluationError, match=complaint):
        read(desk, known, {"question": "q", "id": "first"}, row)


def test_all_that_is_wrong_is_told_at_once(desk: Path, known: KnownDocuments) -> None:
    with pytest.raises(EvaluationError) as told:
        read(desk, known, *[{"question": ""}] * 30)
    lines = str(told.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 10 more"


def test_a_document_that_two_agents_have_must_be_told_apart(desk: Path, known: KnownDocuments) -> None:
    twice = KnownDocuments({**known.headings, "money": {**known.headings["money"], "moon": frozenset()}})
    with pytest.raises(EvaluationError, match="“moon” is a document of sky and of money: write sky:moon"):
        read(desk, twice, {"question": "q", "relevant": ["moon"]})
    assert read(desk, twice, {"question": "q", "agents": ["money"], "relevant": ["moon"]})[0].home == "money"
    assert read(desk, twice, {"question": "q", "relevant": ["sky:moon"]})[0].home == "sky"


@pytest.mark.parametrize(("content", "complaint"), [(b"\xff", "is not UTF-8"), (b"\n", "there is no case in it")])
def test_a_file_that_is_no_text_or_empty_is_told(
    desk: Path, known: KnownDocuments, content: bytes, complaint: str
) -> None:
    (desk / "own.jsonl").write_bytes(content)
    with pytest.raises(EvaluationError, match=complaint):
        read_cases(desk / "own.jsonl", known)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_cases(desk / "none.jsonl", known)
