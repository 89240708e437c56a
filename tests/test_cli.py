"""The `answerdesk` command, run as people run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import HOUSE
from tests.forking import run
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn


def answerdesk(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HOUSE),
        "COLUMNS": "160",
        "EMBEDDINGS": "off",
        **variables,
    }
    for name in (name for name in os.environ if name.startswith("COV")):
        environment[name] = os.environ[name]
    return run("cli:main", arguments, folder, environment, 120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the index of the sample knowledge bases in it, once somebody asked."""
    return tmp_path_factory.mktemp("cli")


def test_help_explains_itself(folder: Path) -> None:
    told = answerdesk(folder, "--help")
    assert told.returncode == 0
    for command in ("serve", "ask", "ingest", "evaluate", "migrate", "export-schema"):
        assert command in told.stdout


def test_it_is_installed_as_a_command(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("answerdesk")
    done = subprocess.run([command, "migrate"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "answerdesk.sqlite3").is_file()


def test_a_question_is_answered_with_its_sources(folder: Path) -> None:
    asked = answerdesk(folder, "ask", "What is the nano pricing plan?")
    assert asked.returncode == 0, asked.stderr
    assert "$9 a month" in asked.stdout
    assert "https://taxgenii.example/pricing/plans" in asked.stdout
    assert "Pricing" in asked.stderr


def test_who_asks_decides_what_can_be_seen(tmp_path: Path) -> None:
    for name, matter in (("open", "title: Open"), ("secret", "audience: [ann]")):
        (tmp_path / "base").mkdir(exist_ok=True)
        text = f"---\n{matter}\n---\nThe {name} turtle swims in the {name} lake."
        (tmp_path / "base" / f"{name}.md").write_text(text, "utf-8")
    entry = '[[agent]]\nname = "a"\ntitle = "Turtles"\ndescription = "Turtles."\nknowledge_base = "base"\n'
    (tmp_path / "agents.toml").write_text(entry, "utf-8")
    question = "Where does the secret turtle swim?"
    for user, sees in (("ann", True), ("bob", False), ("", False)):
        asked = answerdesk(tmp_path, "ask", question, "--as", user, AGENTS_FILE="agents.toml")
        assert asked.returncode == 0, asked.stderr
        assert ("in the secret lake" in asked.stdout) is sees


def test_what_nobody_knows_is_refused_without_sources(folder: Path) -> None:
    asked = answerdesk(folder, "ask", "What is the capital of Peru?")
    assert "I can help with" in asked.stdout
    assert "[1]" not in asked.stdout


@pytest.mark.parametrize("question", ["", "   ", "x" * 9_000])
def test_a_question_that_does_not_fit_is_told(folder: Path, question: str) -> None:
    asked = answerdesk(folder, "ask", question)
    assert asked.returncode == 1
    assert "question" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_ingesting_shows_progress_and_reads_only_what_changed(folder: Path) -> None:
    done = answerdesk(folder, "ingest")
    assert done.returncode == 0, done.stderr
    assert "Help Guides" in done.stderr


def test_migrating_makes_the_folder_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        done = answerdesk(tmp_path, "migrate")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "answerdesk.sqlite3").is_file()


def test_the_schema_is_exported(tmp_path: Path) -> None:
    assert answerdesk(tmp_path, "export-schema", "out.graphql").returncode == 0
    written = (tmp_path / "out.graphql").read_text("utf-8")
    assert written == (HOUSE / "schema.graphql").read_text("utf-8")
    assert answerdesk(tmp_path, "export-schema").stdout == written


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"AZURE_OPENAI_API_KEY": "k"}, "AZURE_OPENAI_DEPLOYMENT"),
        ({"PORT": "many"}, "PORT"),
        ({"AGENTS_FILE": "nowhere.toml"}, "nowhere.toml"),
        ({"DATABASE_URL": "oracle://x"}, "oracle"),
        ({"DATABASE_URL": "postgresql+asyncpg://u@127.0.0.1:9/x"}, "database"),
        ({"JWT_SECRET_KEY": "short"}, "32 bytes"),
    ],
)
def test_what_is_set_wrong_is_told_in_a_sentence(tmp_path: Path, variables: dict[str, str], complaint: str) -> None:
    told = answerdesk(tmp_path, "serve", **variables)
    assert told.returncode in (1, 2)
    assert complaint in told.stderr
    assert "Traceback" not in told.stderr


def test_azure_is_used_where_it_is_set(tmp_path: Path) -> None:
    with AzureOpenAIStandIn() as model, AzureSearchStandIn() as search:
        model.otherwise = "Nano costs $9 a month [1]."
        azure = {**model.environment(), **search.environment()}
        assert answerdesk(tmp_path, "ingest", **azure).returncode == 0
        asked = answerdesk(tmp_path, "ask", "How much does the Nano plan cost a month?", **azure)
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.startswith("Nano costs $9 a month [1].")
        assert "taxgenii.example/pricing" in asked.stdout
        assert model.requests
        assert not (tmp_path / "data" / "index").exists()


def test_a_model_that_is_away_is_told(tmp_path: Path) -> None:
    variables = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}
    asked = answerdesk(tmp_path, "ask", "What is the nano pricing plan?", **variables)
    assert asked.returncode == 1
    assert "model" in asked.stderr.lower()
    assert "Traceback" not in asked.stderr


@pytest.mark.parametrize("small", ["", "gpt-4o-mini"], ids=["one model", "a small one decides"])
def test_the_product_is_tried_in_its_azure_configuration_without_an_account(small: str) -> None:
    command = [sys.executable, "-m", "tests.standins", "ask", "What is the nano pricing plan?"]
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "EMBEDDINGS": "off", "COLUMNS": "160"}
    environment["AZURE_OPENAI_SMALL_DEPLOYMENT"] = small
    asked = subprocess.run(command, cwd=HOUSE, env=environment, capture_output=True, text=True, timeout=240)
    assert asked.returncode == 0, asked.stderr
    assert "Nano" in asked.stdout
    assert "[1]" in asked.stdout
    assert ("Its description has your words." in asked.stderr) is bool(small)
    assert "https://taxgenii.example/pricing/" in asked.stdout
