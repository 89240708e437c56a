"""Trusted documents: each form in which they come, what runs beside them, and what a broken one says."""

import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from graph.limits import Limits
from graph.persisted import PersistedDocuments
from graph.schema import create_schema
from settings import HOUSE, Settings
from tests.forking import run
from tests.graph.desk import Desk, code_of, open_desk
from tests.graph.test_persisted import TRANSPORTS, Ask, by_post, hashed, identified, sha256

pytestmark = pytest.mark.conformance("Persisted documents")

VIEWER = "query Viewer { viewer { id } }"
AGENTS = "query Agents { __typename agents { name } }\n"
OTHER = "{ __typename }"
AGENT = """
[[agent]]
name = "only"
title = "Only"
description = "All that there is."
knowledge_base = "knowledge"
"""
MD5 = "0cc175b9c0f1b6a831c399e269772661"


def folder(path: Path) -> Path:
    (path / "deeper").mkdir(parents=True)
    (path / "viewer.graphql").write_text(VIEWER + "\n", "utf-8")
    (path / "deeper" / "agents.gql").write_text(AGENTS, "utf-8")
    (path / "README.md").write_text("Not a document.", "utf-8")
    return path


def relay(path: Path) -> Path:
    return written(path, {MD5: VIEWER, sha256(AGENTS): AGENTS})


def apollo(path: Path) -> Path:
    operations = [
        {"id": MD5, "name": "Viewer", "type": "query", "body": VIEWER},
        {"id": sha256(AGENTS), "name": "Agents", "type": "query", "body": AGENTS},
    ]
    return written(path, {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})


def apollo_by_id(path: Path) -> Path:
    operations = {
        MD5: {"name": "Viewer", "type": "query", "body": VIEWER},
        f"sha256:{sha256(AGENTS)}": {"name": "Agents", "type": "query", "body": AGENTS},
    }
    return written(path, {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})


def written(path: Path, manifest: object) -> Path:
    path.write_text(json.dumps(manifest), "utf-8")
    return path


FORMS = [folder, relay, apollo, apollo_by_id]


@pytest.fixture(params=FORMS, ids=lambda form: form.__name__)
def trusted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = request.param(tmp_path / "trusted")
    return path


async def opened(migrated: Path, file: Path, settings: Settings) -> AsyncIterator[Desk]:
    shutil.copy(migrated, file)
    async with open_desk(f"sqlite+aiosqlite:///{file}", settings) as desk:
        yield desk


@pytest.fixture
async def strict(migrated: Path, tmp_path: Path, settings: Settings, trusted: Path) -> AsyncIterator[Desk]:
    """Runs nothing else."""
    changed = settings.model_copy(update={"trusted_documents": trusted, "trusted_documents_only": True})
    async for desk in opened(migrated, tmp_path / "strict.sqlite3", changed):
        yield desk


@pytest.fixture
async def lenient(migrated: Path, tmp_path: Path, settings: Settings) -> AsyncIterator[Desk]:
    changed = settings.model_copy(update={"trusted_documents": relay(tmp_path / "relay.json")})
    async for desk in opened(migrated, tmp_path / "lenient.sqlite3", changed):
        yield desk


async def test_trusted_documents_run_by_hash_and_as_text(strict: Desk) -> None:
    for members in (hashed(VIEWER), identified(VIEWER), {"query": VIEWER}, hashed(VIEWER, query=VIEWER)):
        for ask in TRANSPORTS:
            assert await ask(strict, members) == {"data": {"viewer": None}}
    # Whether or not the line end of the file counts.
    for text in (AGENTS, AGENTS.strip()):
        for members in (hashed(text), {"query": text}, hashed(text, query=text)):
            assert code_of(await by_post(strict, members)) == "UNAUTHENTICATED"


@pytest.mark.parametrize("trusted", FORMS[1:], indirect=True)
async def test_the_ids_of_a_manifest_do_as_well(strict: Desk) -> None:
    for ask in TRANSPORTS:
        assert await ask(strict, {"documentId": MD5}) == {"data": {"viewer": None}}
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": MD5}}
        assert await ask(strict, {"extensions": persisted}) == {"data": {"viewer": None}}
        assert await ask(strict, {"documentId": MD5, "query": VIEWER}) == {"data": {"viewer": None}}
        assert code_of(await ask(strict, {"documentId": MD5, "query": AGENTS})) == "PERSISTED_QUERY_HASH_MISMATCH"


@pytest.mark.parametrize("ask", TRANSPORTS)
async def test_nothing_else_runs_where_only_they_may(strict: Desk, ask: Ask) -> None:
    for members in ({"query": OTHER}, hashed(OTHER, query=OTHER), {"query": VIEWER + " "}, {"query": "{"}):
        refused = await ask(strict, members)
        assert code_of(refused) == "UNTRUSTED_DOCUMENT"
        assert "data" not in refused
    refused = await ask(strict, hashed(OTHER))
    assert code_of(refused) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert refused["errors"][0]["message"] == "PersistedQueryNotSupported"
    assert code_of(await ask(strict, identified(OTHER))) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize("ask", TRANSPORTS)
async def test_others_run_and_register_beside_them_by_default(lenient: Desk, ask: Ask) -> None:
    assert await ask(lenient, {"documentId": MD5}) == {"data": {"viewer": None}}
    assert code_of(await ask(lenient, hashed(OTHER))) == "PERSISTED_QUERY_NOT_FOUND"
    assert await ask(lenient, hashed(OTHER, query=OTHER)) == {"data": {"__typename": "Query"}}
    assert await ask(lenient, hashed(OTHER)) == {"data": {"__typename": "Query"}}


# ------------------------------------------------------------ broken ones


def load(path: Path, **limits: Any) -> PersistedDocuments:
    schema = create_schema(Limits(**limits))
    return PersistedDocuments(schema._schema, schema.documents, Settings(_env_file=None, trusted_documents=path))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ viewer {", "Syntax Error"),
        ("{ missing }", "Cannot query field 'missing' on type 'Query'. (line 1, column 3)"),
        ("query A { viewer { id } } query B { missing }", "Cannot query field 'missing'"),
        ("query A { __typename } query B { viewer { " + "id " * 1_001 + " } }", "asks for too much"),
        ("fragment F on User { id }", "It holds no operation."),
        ("type Query { a: Int }", "It holds no operation."),
        ("", "Syntax Error"),
    ],
)
def test_a_document_that_could_not_run_stops_the_start_and_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = folder(tmp_path / "trusted")
    broken = path / "deeper" / "broken.graphql"
    broken.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="TRUSTED_DOCUMENTS") as told:
        load(path)
    assert str(broken) in str(told.value)
    assert why in str(told.value)
    with pytest.raises(ValueError, match=r"manifest\.json, some-id"):
        load(written(tmp_path / "manifest.json", {MD5: VIEWER, "some-id": text}))


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ([], "no manifest"),
        ({}, "holds no documents"),
        ({"a": 1}, "no manifest"),
        ({"": VIEWER}, "no manifest"),
        ({"format": "other", "version": 1, "operations": []}, "no manifest"),
        ({"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}, "no manifest"),
        ({"format": "apollo-persisted-query-manifest", "version": 1}, "no manifest"),
        ({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a"}]}, "no manifest"),
        ({"format": "apollo-persisted-query-manifest", "version": 1, "operations": [7]}, "no manifest"),
        ({"format": "apollo-persisted-query-manifest", "version": 1, "operations": []}, "holds no documents"),
        ({f"sha256:{sha256(OTHER)}": VIEWER}, "another document's"),
        ({sha256(OTHER): VIEWER, "b": OTHER}, "another document's"),
    ],
)
def test_what_is_no_manifest_stops_the_start(tmp_path: Path, manifest: object, why: str) -> None:
    path = written(tmp_path / "manifest.json", manifest)
    with pytest.raises(ValueError, match=why) as told:
        load(path)
    assert str(path) in str(told.value)


def test_files_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text("nothing", "utf-8")
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin" / "a.graphql").write_bytes(b"{ __typename } # \xe9")
    for name, why in (("gone.json", "cannot be read"), ("empty", "holds no documents"), ("text.json", "is not JSON"),
                      ("latin", "not UTF-8")):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            load(tmp_path / name)


def test_the_limits_hold_for_them_too(tmp_path: Path) -> None:
    assert load(written(tmp_path / "manifest.json", {"a": VIEWER}))
    with pytest.raises(ValueError, match="1 are allowed"):
        load(tmp_path / "manifest.json", depth=1)


def test_the_server_does_not_start_with_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "old.graphql").write_text("{ viewer { fax } }", "utf-8")
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "a.md").write_text("# Fax\n\nThere is none.", "utf-8")
    (tmp_path / "agents.toml").write_text(AGENT, "utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = {**kept, "PYTHONPATH": str(HOUSE), "DATA_DIR": str(tmp_path / "data"), "EMBEDDINGS": "off", "PORT": "0",
           "AGENTS_FILE": "agents.toml", "TRUSTED_DOCUMENTS": "trusted"}  # fmt: skip
    ended = run("cli:main", ["serve"], tmp_path, env, 120)
    assert ended.returncode == 1
    told = " ".join(ended.stderr.split())
    assert "trusted/old.graphql: Cannot query field 'fax' on type 'User'." in told
    assert "Traceback" not in told


def test_only_trusted_documents_without_any_is_refused() -> None:
    with pytest.raises(ValidationError, match="TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS"):
        Settings(_env_file=None, trusted_documents_only=True)
