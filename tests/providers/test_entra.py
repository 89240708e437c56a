"""Azure by Microsoft Entra ID: the real azure-identity and the real SDKs, against stand-ins that take tokens and no keys."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from doctor import Doctor, Finding
from domain.chunking import MARKDOWN
from domain.errors import ModelUnavailable, SearchUnavailable
from domain.knowledge import ANYBODY, Document
from providers.azure_openai import azure_openai_embeddings, azure_openai_model
from providers.azure_search import AzureSearch
from providers.direct_answers import DirectAnswers
from providers.embedding_models import NoVectorError
from providers.entra import Identity
from providers.model_errors import model_error
from providers.openai import close_model
from settings import HOUSE, Settings
from tests.standins.azure_openai import AzureOpenAIStandIn
from tests.standins.azure_search import AzureSearchStandIn
from tests.standins.entra import OPENAI, SEARCH, EntraStandIn
from tests.test_cli import answerdesk

pytest.importorskip("azure.identity", reason="the extra `entra` is not installed")

QUESTION = [HumanMessage("How much is nano?")]
NANO = Document("nano", "pricing", "Nano", "The nano plan costs $9 a month.", MARKDOWN, "1")


@dataclass(frozen=True)
class Azure:
    """Everything on loopback."""

    entra: EntraStandIn
    model: AzureOpenAIStandIn
    search: AzureSearchStandIn

    def settings(self, version: str = "2024-10-21", **changes: Any) -> Settings:
        variables = {**self.model.environment(version), **self.search.environment()}
        return Settings(_env_file=None, **({name.lower(): value for name, value in variables.items()} | changes))


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    """With this process in the place of an app that has a managed identity."""
    with EntraStandIn() as entra, AzureOpenAIStandIn(entra=entra) as model, AzureSearchStandIn(entra=entra) as search:
        for name, value in entra.environment().items():
            monkeypatch.setenv(name, value)
        yield Azure(entra, model, search)


@asynccontextmanager
async def model_of(azure: Azure, version: str = "2024-10-21") -> AsyncIterator[DirectAnswers]:
    async with Identity() as identity:
        model = azure_openai_model(azure.settings(version), identity, patience=10)
        assert isinstance(model, DirectAnswers)
        try:
            yield model
        finally:
            await close_model(model)


@asynccontextmanager
async def search_of(azure: Azure) -> AsyncIterator[AzureSearch]:
    async with Identity() as identity:
        search = AzureSearch.of(azure.settings(), ["pricing"], identity)
        try:
            yield search
        finally:
            await search.close()


@pytest.mark.parametrize("version", ["2023-05-15", "2024-10-21", "v1"])
async def test_the_model_is_asked_with_one_token_for_many_answers(azure: Azure, version: str) -> None:
    azure.model.otherwise = "Nine dollars."
    written: list[str] = []
    async with model_of(azure, version) as model:
        for _ in range(4):
            assert (await model.write(lambda: QUESTION, written.append)).text == "Nine dollars."
        assert (await model.ainvoke(QUESTION)).text == "Nine dollars."
        assert "".join([str(chunk.text) async for chunk in model.astream(QUESTION)]) == "Nine dollars."
    assert "".join(written) == "Nine dollars." * 4
    [token] = azure.entra.given(OPENAI)
    headers = [request.headers for request in azure.model.requests]
    assert [(of.get("authorization"), of.get("api-key")) for of in headers] == [(f"Bearer {token}", None)] * 6


@pytest.mark.parametrize("version", ["2023-05-15", "2024-10-21", "v1"])
async def test_vectors_are_made_with_a_token_too(azure: Azure, version: str) -> None:
    async with Identity() as identity:
        model = azure_openai_embeddings(azure.settings(version), identity)
        assert len(await model.embed(["nano", "studio"])) == 2
        azure.entra.assigned = False
        with pytest.raises(NoVectorError):
            await model.embed(["nano"])
        await model.close()
    [token] = azure.entra.given(OPENAI)
    headers = [request.headers for request in azure.model.requests]
    assert [(of.get("authorization"), of.get("api-key")) for of in headers] == [(f"Bearer {token}", None)] * 2


async def test_documents_are_indexed_and_found_with_one_token(azure: Azure) -> None:
    async with search_of(azure) as search:
        assert (await search.index("pricing", [NANO])).added == 1
        await search.check()
        assert [found.chunk.document_id for found in await search.search("pricing", "nano", 3, ANYBODY)] == ["nano"]
    assert len(azure.entra.given(SEARCH)) == 1
    assert all("api-key" not in request.headers for request in azure.search.requests)


async def test_those_who_ask_at_once_wait_for_one_token(azure: Azure) -> None:
    agents = ["pricing", "help-guides", "returns"]
    async with model_of(azure) as model, search_of(azure) as search:
        await asyncio.gather(*(model.ainvoke(QUESTION) for _ in range(20)))
        await asyncio.gather(*(search.index(agent, [NANO]) for agent in agents))
    assert len(azure.entra.given(OPENAI)) == len(azure.entra.given(SEARCH)) == 1
    async with search_of(azure) as another:  # with a client for each agent
        await asyncio.gather(*(another.search(agent, "nano", 3, ANYBODY) for agent in agents))
    assert len(azure.entra.given(SEARCH)) == 2
    assert len(azure.model.requests) == 20


@pytest.mark.parametrize("version", ["2024-10-21", "v1"])
async def test_a_token_that_ran_out_is_replaced(azure: Azure, version: str) -> None:
    azure.entra.lifetime = 0
    async with model_of(azure, version) as model, search_of(azure) as search:
        await search.index("pricing", [NANO])
        for _ in range(3):
            await model.ainvoke(QUESTION)
            await model.write(lambda: QUESTION, lambda text: None)
            await search.search("pricing", "nano", 3, ANYBODY)
    shown = [request.headers["authorization"] for request in azure.model.requests]
    assert shown == [f"Bearer {token}" for token in azure.entra.given(OPENAI)]
    assert len(set(shown)) == 6


async def test_without_an_identity_nothing_is_asked_and_that_is_told(azure: Azure) -> None:
    azure.entra.knows_it = False
    async with model_of(azure) as model, search_of(azure) as search:
        with pytest.raises(SearchUnavailable, match="no credentials for the search service"):
            await search.search("pricing", "nano", 3, ANYBODY)
        with pytest.raises(SearchUnavailable, match="no credentials for the search service"):
            await search.index("pricing", [NANO])
        with pytest.raises(Exception, match="gave no token") as caught:
            await model.write(lambda: QUESTION, lambda text: None)
    told = model_error(caught.value)
    assert isinstance(told, ModelUnavailable)
    assert "no credentials for the answer model" in told.message
    assert azure.model.requests == azure.search.requests == []


async def test_an_identity_without_a_role_is_refused(azure: Azure) -> None:
    azure.entra.assigned = False
    async with model_of(azure) as model, search_of(azure) as search:
        with pytest.raises(SearchUnavailable, match="refuses this server's credentials"):
            await search.search("pricing", "nano", 3, ANYBODY)
        with pytest.raises(Exception, match="lacks the required data action") as caught:
            await model.write(lambda: QUESTION, lambda text: None)
    told = model_error(caught.value)
    assert told is not None
    assert "refuses this server's credentials" in told.message


async def examined(azure: Azure, folder: Path) -> dict[str, Finding]:
    settings = azure.settings(data_dir=folder, azure_search_index_prefix="answerdesk")
    return {finding.service: finding for finding in await Doctor(settings, 30).examine()}


async def test_the_doctor_names_the_roles_to_give(azure: Azure, tmp_path: Path) -> None:
    azure.entra.assigned = False
    findings = await examined(azure, tmp_path)
    for service, role in (
        ("answer model", "Cognitive Services OpenAI User"),
        ("search", "Search Index Data Reader"),
        ("search", "Search Service Contributor"),
    ):
        found = findings[service]
        assert (found.trouble, found.reachable, found.authorised) == ("unauthorised", True, False)
        assert role in found.remedy
        assert "KEY" not in found.remedy


async def test_the_doctor_tells_that_there_is_no_identity(azure: Azure, tmp_path: Path) -> None:
    azure.entra.knows_it = False
    findings = await examined(azure, tmp_path)
    for service in ("answer model", "search"):
        found = findings[service]
        assert (found.trouble, found.reachable, found.authorised) == ("anonymous", None, False)
        assert "az login" in found.remedy


async def test_no_log_holds_a_token(azure: Azure, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with model_of(azure) as model, search_of(azure) as search:
            await search.index("pricing", [NANO])
            await model.write(lambda: QUESTION, lambda text: None)
            azure.entra.assigned = False
            with pytest.raises(SearchUnavailable):
                await search.check()
            with pytest.raises(Exception, match="lacks the required data action"):
                await model.write(lambda: QUESTION, lambda text: None)
    assert {"azure", "openai"} <= {record.name.partition(".")[0] for record in caplog.records}
    secrets = [*azure.entra.given(OPENAI), *azure.entra.given(SEARCH), azure.entra.environment()["IDENTITY_HEADER"]]
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_the_command_works_without_a_key(azure: Azure, tmp_path: Path) -> None:
    variables = {
        **azure.entra.environment(),
        **azure.model.environment(),
        **azure.search.environment(),
        "LOG_LEVEL": "DEBUG",
    }
    indexed = answerdesk(tmp_path, "ingest", **variables)
    asked = answerdesk(tmp_path, "ask", "What is the nano pricing plan?", **variables)
    assert (indexed.returncode, asked.returncode) == (0, 0), asked.stderr
    assert "[1]" in asked.stdout
    said = indexed.stdout + indexed.stderr + asked.stdout + asked.stderr
    assert "Unclosed" not in said
    assert not any(token in said for resource in (OPENAI, SEARCH) for token in azure.entra.given(resource))


def test_without_the_extra_the_command_to_install_it_is_named(azure: Azure, tmp_path: Path) -> None:
    without = "import sys; sys.modules['azure.identity'] = None; import cli; cli.main()"
    environment = {**azure.model.environment(), "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [sys.executable, "-c", without, "doctor"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "make entra" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_keys_are_not_asked_for_and_half_a_service_is_still_named(azure: Azure) -> None:
    assert azure.settings().azure_openai_api_key is None
    with pytest.raises(ValueError, match="half configured: AZURE_OPENAI_DEPLOYMENT is missing"):
        azure.settings(azure_openai_deployment=None)


def test_tokens_go_without_encryption_to_this_machine_only(azure: Azure) -> None:
    assert azure.settings(azure_endpoint="https://desk.search.windows.net").uses_entra
    for name in ("AZURE_ENDPOINT", "AZURE_OPEN_API_ENDPOINT"):
        with pytest.raises(ValueError, match=f"{name} must begin with https://"):
            azure.settings(**{name.lower(): "http://desk.search.windows.net"})
