"""Settings: what half-configured services are told, and that each setting is documented."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import HOUSE, Settings

SECRET = "0123456789abcdef0123456789abcdef"
AZURE = {
    "AZURE_OPENAI_API_KEY": "k",
    "AZURE_OPENAI_DEPLOYMENT": "d",
    "AZURE_OPEN_API_ENDPOINT": "https://desk.openai.example",
    "AZURE_OPENAI_API_VERSION": "2024-10-21",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine, and no .env of the checkout, reaches these tests."""
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for name in (*AZURE, "AZURE_OPENAI_ENDPOINT", "AZURE_ENDPOINT", "AZURE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    made = Settings()
    assert (made.port, made.workers) == (8001, 1)
    assert made.database == f"sqlite+aiosqlite:///{tmp_path / 'data' / 'answerdesk.sqlite3'}"


@pytest.mark.parametrize("missing", AZURE)
def test_half_configured_azure_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    rest = {name: value for name, value in AZURE.items() if name != missing}
    with pytest.raises(ValidationError, match=f"Azure OpenAI is half configured: {missing} is missing"):
        settings(monkeypatch, **rest)


def test_both_spellings_of_the_endpoint_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {name: value for name, value in AZURE.items() if name != "AZURE_OPEN_API_ENDPOINT"}
    assert settings(monkeypatch, **rest, AZURE_OPENAI_ENDPOINT="https://x").azure_openai_endpoint == "https://x"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"AZURE_ENDPOINT": "https://s"}, "AZURE_KEY is missing"),
        ({"AZURE_KEY": "k"}, "AZURE_ENDPOINT is missing"),
        ({"OPENAI_BASE_URL": "http://x/v1"}, "OPENAI_MODEL is missing"),
        ({"OPENAI_MODEL": "m"}, "OPENAI_BASE_URL or OPENAI_API_KEY is missing"),
        ({"JWT_SECRET_KEY": "short"}, "at least 32 bytes"),
        ({"AZURE_OPENAI_SMALL_DEPLOYMENT": "s"}, "AZURE_OPENAI_SMALL_DEPLOYMENT needs AZURE_OPENAI_DEPLOYMENT"),
        ({"OPENAI_SMALL_MODEL": "s", **AZURE}, "OPENAI_SMALL_MODEL needs OPENAI_MODEL"),
        ({"DECISIONS": "model"}, "DECISIONS=model needs a language model"),
        ({"WORKERS": "4"}, "WORKERS=4 cannot run without REDIS_URL: several workers need a turn log that they share"),
        ({"REDIS_URL": "127.0.0.1:6379"}, "REDIS_URL must begin with redis://, rediss:// or unix://"),
        ({"JWT_ALGORITHM": "none"}, "string should match"),
    ],
)
def test_what_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=f"(?i){complaint}"):
        settings(monkeypatch, **variables)


@pytest.mark.parametrize(
    ("variables", "deployment"),
    [
        ({}, None),
        (AZURE, None),
        ({**AZURE, "DECISIONS": "model"}, "d"),
        ({**AZURE, "AZURE_OPENAI_SMALL_DEPLOYMENT": "s"}, "s"),
        ({**AZURE, "AZURE_OPENAI_SMALL_DEPLOYMENT": "s", "DECISIONS": "embedded"}, None),
    ],
)
def test_a_model_decides_where_a_small_one_is_named_or_one_is_told_to(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], deployment: str | None
) -> None:
    deciding = settings(monkeypatch, **variables).for_decisions
    assert (deciding and deciding.azure_openai_deployment) == deployment


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix"])
def test_several_workers_run_with_redis(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    made = settings(monkeypatch, WORKERS="4", REDIS_URL=f"{scheme}://redis.example:6379/0")
    assert (made.workers, made.redis_prefix) == (4, "answerdesk")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, AZURE_KEY="", AZURE_ENDPOINT="", PORT="").port == 8001


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings(monkeypatch, JWT_SECRET_KEY=SECRET, DATABASE_URL="postgresql+asyncpg://u:hunter2@h/d")
    assert SECRET not in repr(made)
    assert "hunter2" not in repr(made)


def test_every_setting_is_in_the_example() -> None:
    example = (HOUSE / ".env.example").read_text("utf-8")
    alias = {
        "azure_openai_endpoint": "AZURE_OPEN_API_ENDPOINT",
        "azure_search_endpoint": "AZURE_ENDPOINT",
        "azure_search_key": "AZURE_KEY",
    }
    missing = [name for name in Settings.model_fields if f"#{alias.get(name, name.upper())}=" not in example]
    assert missing == []
