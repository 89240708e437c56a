"""Finding a suite by name or path, and what its TOML says."""

from pathlib import Path

import pytest

from evaluation.areas import AREAS
from evaluation.cases import EvaluationError
from evaluation.plans import Ground, Plan, read_plan
from settings import HOUSE
from tests.evaluation.tiny import write_data, write_desk

SAMPLE = HOUSE / "examples" / "evaluation" / "suite.toml"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return write_desk(tmp_path / "desk")


@pytest.fixture
def ground(tmp_path: Path, desk: Path) -> Ground:
    return Ground(write_data(tmp_path / "data"), desk / "agents.toml", SAMPLE)


def written(desk: Path, text: str, ground: Ground) -> Plan:
    (desk / "suite.toml").write_text(text, "utf-8")
    return read_plan(str(desk), ground)


def test_the_sample_suite_is_the_example(ground: Ground) -> None:
    plan = read_plan("sample", ground)
    by_path = read_plan(str(SAMPLE.parent), ground)
    assert [case.id for case in plan.suites[0].cases] == [case.id for case in by_path.suites[0].cases]
    assert len(plan.suites[0].cases) > 250
    assert plan.thresholds == by_path.thresholds
    assert "sample.routing.accuracy" in plan.thresholds


def test_all_suites_at_once(ground: Ground) -> None:
    plan = read_plan("all", ground)
    assert [suite.name for suite in plan.suites] == ["mtrag", "clinc150", "canard", "safety", "sample"]
    assert plan.only == frozenset(AREAS)


def test_every_nth_row_of_each_file(ground: Ground) -> None:
    ids = [case.id for case in read_plan("mtrag", ground, nth=2).suites[0].cases]
    assert [name for name in ids if name.startswith("tasks")] == ["tasks:t1", "tasks:t3", "tasks:t5"]
    assert len([name for name in ids if name.startswith("outside")]) == 1


def test_a_file_a_folder_and_a_suite(desk: Path, ground: Ground) -> None:
    for path in (desk / "cases.jsonl", desk):
        plan = read_plan(str(path), ground)
        assert [len(suite.cases) for suite in plan.suites] == [4]
        assert plan.suites[0].own
    plan = written(desk, 'name = "moon"\ncases = ["cases.jsonl"]\nevery = 2\nonly = ["routing"]', ground)
    assert (plan.name, plan.every, plan.only, len(plan.suites[0].cases)) == ("moon", 2, frozenset({"routing"}), 2)
    assert [view.name for view in plan.suites[0].views] == ["moon", "moon/direct", "moon/follow", "moon/outside"]
    told = read_plan(str(desk), ground, nth=1, only=["latency"])
    assert (told.every, told.only, len(told.suites[0].cases)) == (1, frozenset({"latency"}), 4)


def test_a_suite_of_public_sets_with_other_agents(desk: Path, ground: Ground, tmp_path: Path) -> None:
    other = Ground(ground.data, tmp_path / "none.toml", SAMPLE)
    text = 'public = ["mtrag", "canard"]\ncases = ["cases.jsonl"]\nagents = "agents.toml"\n[thresholds]\n'
    plan = written(desk, text + '"mtrag-tasks.routing.accuracy" = 0.5\nrouting.accuracy = 1\n', other)
    assert [suite.name for suite in plan.suites] == ["mtrag", "canard", "desk"]
    assert plan.thresholds == {"mtrag-tasks.routing.accuracy": 0.5, "desk.routing.accuracy": 1.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cases = 3", "cases: "),
        ("case = []", "case: "),
        ("cases = []", "name files of `cases`, or `public` sets"),
        ("cases = [", "cannot be read"),
        ('cases = ["none.jsonl"]', "none.jsonl cannot be read"),
        ('public = ["trec"]', "there is no “trec”; there are mtrag, clinc150, canard, safety"),
        ('cases = ["cases.jsonl"]\nonly = ["speed"]', "only: there is no “speed”; there are routing, retrieval"),
        ('cases = ["cases.jsonl"]\nevery = 0', "every: "),
        ('cases = ["cases.jsonl"]\nagents = "no.toml"', "no.toml cannot be read"),
        ('cases = ["cases.jsonl"]\n[thresholds]\nrouting.speed = 1', "there is no figure “routing.speed”"),
        (
            'cases = ["cases.jsonl"]\n[thresholds]\n"x.routing.accuracy" = 1',
            "names no view; there are desk, desk/direct",
        ),
        ('cases = ["cases.jsonl"]\n[thresholds]\nrouting = 1', "names no view"),
        ('public = ["mtrag"]\n[thresholds]\nmtrag-outside.routing.accuracy = 1', "mtrag-outside does not tell routing"),
        ('cases = ["cases.jsonl"]\n[thresholds]\nrouting.accuracy = "high"', "must be a number"),
        ('cases = ["cases.jsonl", "cases.jsonl"]', "two files have a case"),
    ],
)
def test_what_a_suite_says_wrong_is_told(desk: Path, ground: Ground, text: str, complaint: str) -> None:
    with pytest.raises(EvaluationError, match=complaint):
        written(desk, text, ground)


def test_what_is_no_suite_is_told(ground: Ground, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="“nowhere” is neither a suite that comes with the desk"):
        read_plan("nowhere", ground)
    with pytest.raises(EvaluationError, match="only: there is no “speed”"):
        read_plan("sample", ground, only=["speed"])
    missing = Ground(tmp_path / "no-data", ground.agents, SAMPLE)
    with pytest.raises(EvaluationError, match=r"corpus.jsonl is not there.*--data or EVALUATION_DATA"):
        read_plan("mtrag", missing)


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("mtrag/tasks.jsonl", "{", "tasks.jsonl:1: this is not JSON"),
        ("mtrag/tasks.jsonl", "{}", "tasks.jsonl:1: id: must be a text"),
        ("mtrag/switch.jsonl", "[]", "switch.jsonl:1: this is no object"),
        (
            "mtrag/switch.jsonl",
            '{"id": "a", "kind": "k", "domain": "d", "query": "q"}',
            "history: must be a conversation",
        ),
        ("mtrag/oos.jsonl", "", "oos.jsonl: there is no row in it"),
        ("safety/dev.jsonl", '{"id": "a", "kind": "new", "text": "t"}', "there is no kind of attack “new”"),
    ],
)
def test_public_rows_that_do_not_fit_are_told(ground: Ground, file: str, line: str, complaint: str) -> None:
    (ground.data / file).write_text(line, "utf-8")
    with pytest.raises(EvaluationError, match=complaint):
        read_plan("all", ground)
