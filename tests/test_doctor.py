"""`answerdesk doctor` against stand-ins with each fault switched on, and against real databases and a real Redis."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import URL, make_url

from doctor import Doctor, Finding
from settings import Settings
from soak.ports import free_port
from tests.databases import empty_database, migrated_database
from tests.redis_servers import own_redis
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.faults import FAULTS
from tests.test_cli import answerdesk

Findings = dict[str, Finding]
Azure = tuple[AzureOpenAIStandIn, AzureSearchStandIn]

MODEL, SEARCH, DATABASE, LOG = "answer model", "search", "database", "turn log"
EMBEDDING = "embedding model"
EXPECTED = {
    "unauthorised": "unauthorised",
    "missing": "missing",
    "refused": "refused",
    "busy": "busy",
    "failing": "failing",
    "down": "failing",
    "silent": "silent",
    "reset": "unreachable",
    "malformed": "failing",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tables are made and the sample knowledge bases indexed."""
    folder = tmp_path_factory.mktemp("doctor")
    for command in ("migrate", "ingest"):
        done = answerdesk(folder, command)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def azure(folder: Path) -> Iterator[Azure]:
    """With the knowledge bases indexed."""
    with AzureOpenAIStandIn() as model, AzureSearchStandIn() as search:
        done = answerdesk(folder, "ingest", **search.environment())
        assert done.returncode == 0, done.stderr
        yield model, search


async def examined(folder: Path, variables: Mapping[str, str] | None = None, patience: float = 30) -> Findings:
    """The findings by service."""
    values: dict[str, Any] = {name.lower(): value for name, value in (variables or {}).items()}
    settings = Settings(_env_file=None, data_dir=folder / "data", embeddings="off", **values)
    return {finding.service: finding for finding in await Doctor(settings, patience).examine()}


async def test_a_desk_on_embedded_defaults_is_well(folder: Path) -> None:
    findings = await examined(folder)
    assert [finding.trouble for finding in findings.values()] == [None, None, None]
    assert findings[MODEL].where == "in this process"


async def test_a_folder_where_nothing_was_set_up_is_told_the_commands(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    findings = await examined(tmp_path)
    assert "answerdesk migrate" in findings[DATABASE].remedy
    assert "answerdesk ingest" in findings[SEARCH].remedy


async def test_azure_is_asked_with_one_real_call_each(folder: Path, azure: Azure) -> None:
    model, search = azure
    findings = await examined(folder, {**model.environment(), **search.environment()})
    for service in (MODEL, SEARCH):
        found = findings[service]
        assert (found.trouble, found.reachable, found.authorised) == (None, True, True)
        assert found.milliseconds
    assert findings[MODEL].where == f"{model.url}, api-version 2024-10-21"
    [asked] = [exchange for exchange in model.requests if exchange.path.endswith("/chat/completions")]
    assert asked.body["stream"] is True
    assert findings[EMBEDDING].trouble is None, "it is named, if only AZURE_SEARCH_MODE would use it"


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_named_and_has_a_remedy(folder: Path, azure: Azure, fault: str) -> None:
    model, search = azure
    before = len(model.requests)
    model.fault = search.fault = FAULTS[fault]
    try:
        variables = {**model.environment(), **search.environment()}
        findings = await examined(folder, variables, 2 if fault == "silent" else 30)
    finally:
        model.fault = search.fault = None
    asked = [exchange.path.rpartition("/")[2] for exchange in model.requests[before:]]
    assert sorted(asked) == ["completions", "embeddings"]  # nothing is repeated
    for service in (MODEL, SEARCH):
        found = findings[service]
        assert found.trouble == EXPECTED[fault], found
        assert found.remedy
        assert found.reachable is (fault not in ("silent", "reset"))
        assert found.authorised is {"unauthorised": False, "silent": None, "reset": None}.get(fault, True)


@pytest.mark.parametrize(
    ("variable", "value", "service", "trouble"),
    [
        ("AZURE_OPENAI_API_KEY", "a-key-of-someone-else", MODEL, "unauthorised"),
        ("AZURE_OPENAI_DEPLOYMENT", "nonesuch", MODEL, "missing"),
        ("AZURE_OPEN_API_ENDPOINT", "http://127.0.0.1:{closed}", MODEL, "unreachable"),
        ("AZURE_KEY", "a-key-of-someone-else", SEARCH, "unauthorised"),
        ("AZURE_SEARCH_INDEX_PREFIX", "nonesuch", SEARCH, "missing"),
        ("AZURE_ENDPOINT", "http://127.0.0.1:{closed}", SEARCH, "unreachable"),
    ],
)
async def test_a_wrong_setting_is_named(
    folder: Path, azure: Azure, variable: str, value: str, service: str, trouble: str
) -> None:
    model, search = azure
    wrong = {variable: value.format(closed=free_port())}
    findings = await examined(folder, {**model.environment(), **search.environment(), **wrong})
    assert findings[service].trouble == trouble
    assert variable in findings[service].remedy
    [other] = {MODEL, SEARCH} - {service}
    assert findings[other].trouble is None


@pytest.fixture(scope="module")
def hybrid(folder: Path) -> Iterator[Azure]:
    """With the knowledge bases indexed by words and by vectors."""
    with AzureOpenAIStandIn() as model, AzureSearchStandIn() as search:
        variables = {**model.environment(), **search.environment(), "AZURE_SEARCH_MODE": "hybrid"}
        done = answerdesk(folder, "ingest", **variables)
        assert done.returncode == 0, done.stderr
        yield model, search


async def test_the_model_of_the_vectors_is_asked_where_there_are_vectors(folder: Path, hybrid: Azure) -> None:
    model, search = hybrid
    variables = {**model.environment(), **search.environment(), "AZURE_SEARCH_MODE": "hybrid"}
    findings = await examined(folder, variables)
    assert {service: finding.trouble for service, finding in findings.items()} == dict.fromkeys(
        (MODEL, SEARCH, DATABASE, EMBEDDING)
    )
    assert findings[EMBEDDING].where == f"{model.url}, api-version 2024-10-21"

    wrong = await examined(folder, variables | {"AZURE_OPENAI_EMBEDDING_DEPLOYMENT": "nonesuch"})
    assert wrong[EMBEDDING].trouble == wrong[SEARCH].trouble == "missing"
    assert "AZURE_OPENAI_EMBEDDING_DEPLOYMENT" in wrong[EMBEDDING].remedy
    assert "embedding model" in wrong[SEARCH].remedy
    assert wrong[MODEL].trouble is None


async def test_an_index_of_another_mode_is_told_to_be_made_again(folder: Path, azure: Azure) -> None:
    model, search = azure
    findings = await examined(folder, {**model.environment(), **search.environment(), "AZURE_SEARCH_MODE": "vector"})
    assert findings[SEARCH].trouble == "refused"
    assert "answerdesk ingest" in findings[SEARCH].remedy


async def test_an_openai_compatible_server_is_asked_too(folder: Path) -> None:
    with AzureOpenAIStandIn() as model:
        named = {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "llama-3"}
        assert (await examined(folder, named))[MODEL].trouble is None
        model.fault = FAULTS["missing"]
        assert "OPENAI_MODEL" in (await examined(folder, named))[MODEL].remedy


async def test_the_fallback_has_a_row_of_its_own(folder: Path) -> None:
    with AzureOpenAIStandIn() as model, AzureOpenAIStandIn("gpt-4o-north") as other:
        variables = {
            **model.environment(),
            "AZURE_OPENAI_FALLBACK_API_KEY": other.key,
            "AZURE_OPENAI_FALLBACK_DEPLOYMENT": other.deployment,
            "AZURE_OPENAI_FALLBACK_ENDPOINT": other.url,
        }
        other.fault = FAULTS["missing"]
        findings = await examined(folder, variables)
        asked = [exchange.path.rpartition("/")[2] for exchange in [*model.requests, *other.requests]]
        assert sorted(asked) == ["completions", "completions", "embeddings"]
        where = f"{other.url}, api-version 2024-10-21"
    first, second = findings[MODEL], findings["fallback model"]
    assert (first.trouble, second.trouble) == (None, "missing")
    assert second.where == where
    assert "AZURE_OPENAI_FALLBACK_DEPLOYMENT" in second.remedy


@pytest.fixture
def agents(tmp_path: Path) -> str:
    """Two with models of their own, one of which decides, too."""
    file = tmp_path / "agents.toml"
    (tmp_path / "base").mkdir()
    file.write_text(
        "".join(
            f'[[agent]]\nname = "{name}"\ntitle = "T"\ndescription = "d"\nknowledge_base = "base"\n{own}\n'
            for name, own in (
                ("pricing", 'deployment = "gpt-4o-prices"\nmodel = "llama-prices"'),
                ("guides", 'deployment = "gpt-4o-mini"\nmodel = "llama-small"'),
                ("website", ""),
            )
        ),
        "utf-8",
    )
    return str(file)


async def test_every_deployment_has_a_row_and_is_asked_once(folder: Path, agents: str) -> None:
    with AzureOpenAIStandIn() as model:
        model.other_deployments = {"gpt-4o-mini"}
        variables = {**model.environment(), "AGENTS_FILE": agents, "AZURE_OPENAI_SMALL_DEPLOYMENT": "gpt-4o-mini"}
        findings = await examined(folder, variables)
        paths = sorted(exchange.path.split("/")[3] for exchange in model.requests)
    assert paths == ["gpt-4o", "gpt-4o-mini", "gpt-4o-prices", "text-embedding-3-small"]
    troubles = {service: finding.trouble for service, finding in findings.items() if "model" in service}
    assert troubles == {MODEL: None, "deciding model": None, "model of pricing": "missing", EMBEDDING: None}
    assert findings["deciding model"].what == "Azure OpenAI, deployment gpt-4o-mini"
    assert "`deployment` of pricing in agents.toml names no deployment" in findings["model of pricing"].remedy
    assert model.key not in str(findings)


@pytest.mark.parametrize(
    ("variables", "service", "variable"),
    [
        ({"AZURE_OPENAI_SMALL_DEPLOYMENT": "nonesuch"}, "deciding model", "AZURE_OPENAI_SMALL_DEPLOYMENT names no"),
        ({"AZURE_OPENAI_EMBEDDING_DEPLOYMENT": "nonesuch"}, EMBEDDING, "AZURE_OPENAI_EMBEDDING_DEPLOYMENT names no"),
    ],
)
async def test_a_deployment_that_is_not_there_is_named(
    folder: Path, variables: dict[str, str], service: str, variable: str
) -> None:
    with AzureOpenAIStandIn() as model:
        findings = await examined(folder, {**model.environment(), **variables})
    assert findings[service].trouble == "missing"
    assert variable in findings[service].remedy
    assert findings[MODEL].trouble is None


async def test_the_models_of_an_openai_compatible_server_have_theirs(folder: Path, agents: str) -> None:
    with AzureOpenAIStandIn() as model:
        named = {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_MODEL": "llama-3", "OPENAI_SMALL_MODEL": "llama-small"}
        model.fault = FAULTS["missing"]
        findings = await examined(folder, {**named, "AGENTS_FILE": agents})
        asked = sorted(exchange.body["model"] for exchange in model.requests)
    assert asked == ["llama-3", "llama-prices", "llama-small"]
    assert "OPENAI_SMALL_MODEL names no model" in findings["deciding model"].remedy
    assert "`model` of pricing in agents.toml names no model" in findings["model of pricing"].remedy


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
async def test_what_is_wrong_with_a_database_is_told_apart(folder: Path, tmp_path: Path, backend: str) -> None:
    async def found(url: URL) -> Finding:
        return (await examined(folder, {"DATABASE_URL": url.render_as_string(hide_password=False)}))[DATABASE]

    with migrated_database(backend, tmp_path) as address:
        url = make_url(address)
        assert (await found(url)).trouble is None
        absent = await found(url.set(database="answerdesk_nonesuch"))
        assert (absent.trouble, absent.authorised) == ("missing", True)
        stranger = await found(url.set(username="nobody_of_that_name", password="quite-secret"))
        assert (stranger.trouble, stranger.reachable, stranger.authorised) == ("unauthorised", True, False)
        assert "quite-secret" not in str(stranger)
        assert (await found(url.set(port=free_port()))).trouble == "unreachable"
    with empty_database(backend, tmp_path) as address:
        empty = await found(make_url(address))
        assert (empty.trouble, "answerdesk migrate" in empty.remedy) == ("missing", True)


async def test_redis_is_asked_where_there_is_one(folder: Path) -> None:
    with own_redis() as redis:
        assert (await examined(folder, {"REDIS_URL": redis.url}))[LOG].trouble is None
        with Redis.from_url(redis.url) as client:
            client.config_set("requirepass", "quite-secret")
        found = (await examined(folder, {"REDIS_URL": redis.url}))[LOG]
        assert (found.trouble, found.authorised) == ("unauthorised", False)
        wrong = (await examined(folder, {"REDIS_URL": redis.url.replace("//", "//:not-so-secret@")}))[LOG]
        assert (wrong.trouble, "not-so-secret" in str(wrong)) == ("unauthorised", False)
        redis.kill()
        assert (await examined(folder, {"REDIS_URL": redis.url}))[LOG].trouble == "unreachable"


def test_the_command_tells_programs_and_people_and_no_secret(folder: Path, azure: Azure) -> None:
    model, search = azure
    variables = {**model.environment(), **search.environment(), "LOG_LEVEL": "DEBUG"}
    model.fault = FAULTS["busy"]
    try:
        told, shown = (answerdesk(folder, "doctor", *options, **variables) for options in (("--json",), ()))
    finally:
        model.fault = None
    assert (told.returncode, shown.returncode) == (1, 1)
    assert [finding["trouble"] for finding in json.loads(told.stdout)] == ["busy", None, None, None]
    assert "raise its quota" in " ".join(shown.stdout.split())
    assert not any(key in text for key in (model.key, search.key) for text in (told.stdout, told.stderr, shown.stdout))


def test_half_configured_services_are_named_instead_of_asked(folder: Path) -> None:
    told = answerdesk(folder, "doctor", AZURE_KEY="only-this-one")
    assert told.returncode == 2
    assert "AZURE_ENDPOINT" in told.stderr
    assert "only-this-one" not in told.stdout + told.stderr
