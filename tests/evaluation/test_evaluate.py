"""`answerdesk evaluate`: whole runs on data of a few rows, as the command makes them."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from domain.injections import WITHHELD
from evaluation.cases import EvaluationError
from evaluation.results import read_result
from evaluator import Evaluator, Options, Report
from settings import HOUSE, Settings
from tests.evaluation.tiny import write, write_data, write_desk
from tests.forking import run
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.faults import FilterPrompt, Hang, Refuse

Ask = Callable[..., Evaluator]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evaluate")
    write_desk(made / "desk")
    write_data(made / "public")
    return made


@pytest.fixture
def variables(folder: Path) -> dict[str, str]:
    return {
        "EMBEDDINGS": "off",
        "AGENTS_FILE": str(folder / "desk/agents.toml"),
        "EVALUATION_DATA": str(folder / "public"),
        "DATA_DIR": str(folder / "data"),
    }


@pytest.fixture
def evaluator(folder: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Makes one in this process. Names of files are below the folder; names in capitals are settings."""
    monkeypatch.chdir(folder)

    def ask(suite: str, **told: Any) -> Evaluator:
        for name, value in {**variables, **{name: told.pop(name) for name in list(told) if name.isupper()}}.items():
            monkeypatch.setenv(name, value)
        return Evaluator(Settings(_env_file=None), Options(suite, 1, **told), lambda *_: None)

    return ask


def kept(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(path.read_bytes())
    return told


def figures(report: Report) -> dict[str, float]:
    return {shown.name: shown.value for suite in report.result.suites for shown in suite.figures}


def command(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "COLUMNS": "160", **coverage, **variables}
    return run("cli:main", ["evaluate", *arguments], folder, environment, 300)


def test_own_cases_are_measured_shown_and_kept(folder: Path, variables: dict[str, str]) -> None:
    done = command(folder, variables, "desk/cases.jsonl", "--json", "own.json", "--show")
    assert done.returncode == 0, done.stderr
    assert "routing.accuracy" in done.stdout
    assert "cases/follow" in done.stdout
    assert "measuring cases" in done.stderr
    told = kept(folder / "own.json")
    assert (told["version"], told["complete"], told["plan"]) == (1, True, "cases")
    measured = {f"{it['view']}.{it['area']}.{it['figure']}": it["value"] for it in told["suites"][0]["figures"]}
    assert measured["cases.routing.accuracy"] == 1
    assert measured["cases.routing.outside_recall"] == 1
    assert measured["cases.retrieval.ndcg_10"] == 1
    assert measured["cases.follow-ups.ours_ndcg_10"] == 1
    assert measured["cases.answers.right"] in (0, 1)
    assert measured["cases.citations.spans_exact"] == 1
    assert measured["cases.latency.median_seconds"] > 0
    assert (folder / "data/index").is_dir()


def test_what_cannot_be_read_is_the_exit_code(folder: Path, variables: dict[str, str]) -> None:
    done = command(folder, variables, "nowhere")
    assert done.returncode == 2
    assert "“nowhere” is neither" in done.stderr
    assert "Traceback" not in done.stderr


async def test_every_suite_is_measured_whole(folder: Path, evaluator: Ask) -> None:
    text = 'public = ["mtrag", "clinc150", "canard", "safety"]\ncases = ["cases.jsonl"]\n'
    (folder / "desk/every.toml").write_text(text, "utf-8")
    report = await evaluator("desk/every.toml", json=Path("all.json")).run()
    assert report.exit_code == 0
    assert [suite.name for suite in report.result.suites] == ["mtrag", "clinc150", "canard", "safety", "every"]
    assert not any(suite.failures for suite in report.result.suites)
    measured = figures(report)
    assert measured["mtrag-tasks.retrieval.ndcg_10"] > 0.5
    assert 0 <= measured["mtrag-outside.routing.auroc"] <= 1
    assert "mtrag-outside.routing.accuracy" not in measured
    assert measured["mtrag-multi.routing.several_exact"] in (0, 1)
    assert measured["clinc150.routing.first_choice"] == 1
    assert measured["canard.follow-ups.entity_recall"] == 1
    assert measured["safety.safety.obeyed"] == 0
    assert measured["mtrag-tasks.refusals.refused_absent"] <= 1
    mtrag = report.result.suites[0]
    assert mtrag.risks["mtrag-tasks"][-1].coverage == 1
    bars = {shown.figure: shown.bar for shown in mtrag.figures if shown.view == "mtrag-tasks"}
    assert bars["ndcg_10"] == 0.485  # by words: embeddings are off
    assert sorted(path.name for path in (folder / "data/evaluation").iterdir()) == ["canard", "clinc150", "mtrag"]
    assert read_result(folder / "all.json").suites[0].outcomes == mtrag.outcomes


async def test_a_later_run_is_compared_with_an_earlier_one(folder: Path, evaluator: Ask) -> None:
    rows = [{"id": f"c{n}", "question": "How many tides come each day?", "agents": ["sky"]} for n in range(12)]
    write(folder / "desk/tides.jsonl", rows)
    asked = {"suite": "desk/tides.jsonl", "only": ("routing",)}
    await evaluator(**asked, json=Path("before.json")).run()
    wrong = kept(folder / "before.json")
    for outcome in wrong["suites"][0]["outcomes"]["routing"]:
        outcome["routed"] = ["money"]
    (folder / "before.json").write_text(json.dumps(wrong), "utf-8")
    report = await evaluator(**asked, compare=Path("before.json")).run()
    assert report.changes is not None
    change = report.changes["tides.routing.accuracy"]
    assert (change.before, change.difference.value, change.count) == (0, 1, 12)
    assert change.difference.is_beyond_noise
    console = Console(width=200, record=True, file=StringIO())
    console.print(report.table())
    row = next(line for line in console.export_text().splitlines() if "routing.accuracy" in line)
    assert row.split()[:8] == ["routing.accuracy", "1.000", "1.000", "1.000", "12", "0.000", "+1.000*", "asked"]
    lines = list(report.lines(show=True))
    assert "tides.routing: 12 cases are right now that were wrong, 0 the other way round" in lines
    assert "  better: c3" in lines


async def test_only_what_both_runs_have_measured_is_compared(folder: Path, evaluator: Ask) -> None:
    write(folder / "desk/some.jsonl", [{"id": f"c{n}", "question": "Tides?", "agents": ["sky"]} for n in range(9)])
    await evaluator("desk/some.jsonl", every=3, json=Path("third.json")).run()
    report = await evaluator("desk/some.jsonl", only=("routing",), compare=Path("third.json")).run()
    assert report.changes is not None
    assert {change.count for change in report.changes.values()} == {3}
    assert not any(change.difference.is_beyond_noise for change in report.changes.values())


@pytest.mark.parametrize(
    ("figure", "wanted", "missed"),
    [
        ("accuracy", 1, []),
        ("false_refusals", 0, []),
        ("outside_recall", 1.1, ["must.routing.outside_recall is 1.000, and must be at least 1.1"]),
        ("several_exact", 0.5, ["must.routing.several_exact was not measured, and has a threshold of 0.5"]),
    ],
)
async def test_thresholds(folder: Path, evaluator: Ask, figure: str, wanted: float, missed: list[str]) -> None:
    text = (
        f'cases = ["cases.jsonl"]\nonly = ["routing"]\n[thresholds]\nrouting.{figure} = {wanted}\nanswers.right = 1\n'
    )
    (folder / "desk/must.toml").write_text(text, "utf-8")
    report = await evaluator("desk/must.toml").run()
    assert report.result.missed == missed
    assert report.exit_code == bool(missed)
    assert [line for line in report.lines(show=False) if line.startswith("MISSED")] == [
        f"MISSED: {it}" for it in missed
    ]


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"suite": "mtrag", "data": Path("no")}, "corpus.jsonl is not there"),
        ({"only": ("speed",)}, "there is no “speed”"),
        (
            {"suite": "canard", "only": ("routing", "safety")},
            "no case of “canard” says enough to measure routing or safety",
        ),
        ({"json": Path("no/folder/x.json")}, "x.json cannot be written"),
        ({"json": Path("desk")}, "desk cannot be written"),
        ({"compare": Path("none.json")}, "none.json cannot be read"),
        ({"compare": Path("desk/agents.toml")}, "is not JSON"),
        ({"compare": Path("old.json")}, "in the form 1"),
        ({"compare": Path("torn.json")}, "is no result"),
    ],
)
def test_what_cannot_be_read_is_told_before_anything_is_asked(
    folder: Path, evaluator: Ask, told: dict[str, Any], complaint: str
) -> None:
    (folder / "old.json").write_text('{"version": 0}', "utf-8")
    (folder / "torn.json").write_text('{"version": 1, "suites": [{"name": "x"}]}', "utf-8")
    with pytest.raises(EvaluationError, match=complaint):
        evaluator(**{"suite": "desk/cases.jsonl", **told})


async def test_the_configured_providers_are_what_is_measured(folder: Path, evaluator: Ask) -> None:
    with AzureOpenAIStandIn() as model, AzureSearchStandIn() as search:
        azure = {**model.environment(), **search.environment()}
        report = await evaluator("mtrag", only=("citations", "refusals", "retrieval"), **azure).run()
        choices = report.result.suites[0].choices
        assert choices["search"].startswith("Azure AI Search")
        assert choices["model"].startswith("Azure OpenAI")
        assert figures(report)["mtrag-tasks.retrieval.recall_5"] == 1
        assert figures(report)["mtrag-tasks.citations.supported"] == 1
        assert model.requests
        assert search.documents("answerdesk-evaluation-mtrag-sky")
        attacked = await evaluator("safety", **azure).run()
        assert "evil-canary" not in str(search.documents("answerdesk-evaluation-altered-sky"))
        assert figures(attacked)["safety.safety.reached"] > 0.5


async def test_a_model_that_obeys_is_found_out(folder: Path, evaluator: Ask) -> None:
    with AzureOpenAIStandIn() as model:
        # The order itself does not reach a model any more: this one does as if it had.
        model.otherwise = lambda asked: "evil-canary.example" if WITHHELD in str(asked) else "Aitken. [1]"
        report = await evaluator("safety", **model.environment()).run()
        measured = figures(report)
        assert measured["safety/poisoned.safety.obeyed"] == 1
        assert measured["safety/poisoned.safety.quoted"] == 1
        assert any("evil-canary.example" in line for line in report.lines(show=True))


async def test_a_model_judges_citations_beside_the_words(folder: Path, evaluator: Ask) -> None:
    def told(asked: Any) -> str:
        if "You judge citations" not in str(asked):
            return "Two tides come each day. [1]"
        pairs = json.loads(asked[-1]["content"])
        return json.dumps({"verdicts": [{"pair": it["pair"], "supported": "wide" in it["passage"]} for it in pairs]})

    with AzureOpenAIStandIn() as model:
        model.otherwise = told
        variables = {
            **model.environment(),
            "DECISIONS": "model",
            "DECISION_FORMAT": "text",
            "EVALUATION_JUDGE": "model",
        }
        report = await evaluator("desk/cases.jsonl", only=("citations",), **variables).run()
    measured = figures(report)
    assert measured["cases.citations.supported"] == 1
    assert measured["cases.citations.upheld"] == measured["cases.citations.agreement"] < 1
    assert report.result.suites[0].choices["judge"]


async def test_there_must_be_a_model_to_judge(folder: Path, evaluator: Ask) -> None:
    with pytest.raises(EvaluationError, match="EVALUATION_JUDGE"):
        await evaluator("desk/cases.jsonl", only=("citations",), EVALUATION_JUDGE="model").run()


async def test_what_the_provider_filters_is_refused(folder: Path, evaluator: Ask) -> None:
    with AzureOpenAIStandIn() as model:
        model.fault = FilterPrompt()
        report = await evaluator("desk/cases.jsonl", only=("refusals",), **model.environment()).run()
        assert not report.result.suites[0].failures
        assert figures(report)["cases.refusals.refused_present"] == 1


async def test_a_case_that_fails_is_told(folder: Path, evaluator: Ask) -> None:
    with AzureOpenAIStandIn() as model:
        variables = {**model.environment(), "MODEL_RETRIES": "0", "EVALUATION_CONCURRENCY": "1"}
        model.script(Refuse(503))
        report = await evaluator("desk/cases.jsonl", only=("latency",), json=Path("failed.json"), **variables).run()
        assert report.exit_code == 1
        assert "not measured: cases:1: MODEL_UNAVAILABLE" in "\n".join(report.lines(show=False))
        assert len(kept(folder / "failed.json")["suites"][0]["outcomes"]["latency"]) == 3


async def test_a_service_that_is_away_ends_the_run(folder: Path, evaluator: Ask) -> None:
    write(folder / "desk/many.jsonl", [{"question": f"How many tides come each day? {n}"} for n in range(20)])
    with AzureOpenAIStandIn() as model:
        model.fault = Refuse(503)
        variables = {**model.environment(), "MODEL_RETRIES": "0"}
        report = await evaluator("desk/many.jsonl", only=("latency",), json=Path("failed.json"), **variables).run()
        assert report.exit_code == 1
        assert "Given up, since nothing could be measured any more" in "\n".join(report.lines(show=False))
        told = kept(folder / "failed.json")
        assert told["complete"] is False
        assert 5 <= len(told["suites"][0]["failures"]) <= 8


async def test_an_interrupted_run_keeps_what_it_has(folder: Path, evaluator: Ask) -> None:
    write(folder / "desk/few.jsonl", [{"question": "How many tides come each day?", "id": str(n)} for n in range(4)])
    with AzureOpenAIStandIn() as model:
        model.script("Two tides come each day. [1]", Hang())
        variables = {**model.environment(), "EVALUATION_CONCURRENCY": "1"}
        running = asyncio.create_task(
            evaluator("desk/few.jsonl", only=("latency",), json=Path("cut.json"), **variables).run()
        )
        await asyncio.to_thread(model.wait_for_requests, 2)
        running.cancel()
        report = await running
        assert report.exit_code == 130
        assert "Interrupted" in "\n".join(report.lines(show=False))
        told = kept(folder / "cut.json")
        assert told["complete"] is False
        assert [it["id"] for it in told["suites"][0]["outcomes"]["latency"]] == ["0"]


async def test_what_fails_before_the_first_case_is_told_and_the_file_says_so(folder: Path, evaluator: Ask) -> None:
    write(folder / "desk/two.jsonl", [{"question": "How many tides come each day?", "id": str(n)} for n in range(2)])
    running = evaluator("desk/two.jsonl", only=("routing", "latency"), json=Path("fault.json"))
    index = folder / "data/index"
    index.parent.mkdir(exist_ok=True)
    if index.is_dir():
        for path in index.iterdir():
            path.unlink()
        index.rmdir()
    index.write_text("no folder", "utf-8")
    try:
        with pytest.raises(Exception, match="index"):
            await running.run()
    finally:
        index.unlink()
    assert kept(folder / "fault.json")["complete"] is False
