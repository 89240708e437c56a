"""The playground at /graphql: who gets it, with which headers, and that it works in a browser."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import FieldNode, OperationDefinitionNode, build_schema, parse, validate

from settings import Settings
from tests.graph.desk import HOUSE, Desk
from tests.live_server import live_server

WEB = HOUSE / "web"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WITHIN = 240
PAGE = '<html data-introspection="{{introspection}}"><link nonce="{{nonce}}">'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "playground.html").write_text(PAGE, "utf-8")
    (built / "assets" / "main-ABCDEFGH.js").write_text("1", "utf-8")
    (built / "assets" / "notes.txt").write_text("1", "utf-8")
    return Settings(_env_file=None, data_dir=tmp_path, playground_dir=built)


async def opened(desk: Desk, accept: str = BROWSER, **options: Any) -> httpx.Response:
    return await desk.http.get(desk.url, headers={"accept": accept}, **options)


# ---------------------------------------------------------------- who gets it


@pytest.mark.parametrize(
    "accept", [BROWSER, "text/html", "text/html;q=0.9, */*;q=0.8", "application/json;q=0.9, text/html"]
)
async def test_who_prefers_html_gets_the_page(desk: Desk, accept: str) -> None:
    page = await opened(desk, accept)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["vary"] == "Accept"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "application/graphql-response+json",
        "application/json, text/html;q=0.9",
        "text/html;q=0",
    ],
)
async def test_who_does_not_gets_json(desk: Desk, accept: str) -> None:
    answer = await opened(desk, accept)
    assert answer.headers["content-type"].split(";")[0] in ("application/json", "application/graphql-response+json")
    assert answer.json()["errors"]


async def test_an_address_with_an_operation_runs_it_in_a_browser_too(desk: Desk) -> None:
    answer = await opened(desk, params={"query": "{ viewer { id } }"})
    assert answer.json() == {"data": {"viewer": None}}


async def test_only_opening_gets_the_page(desk: Desk) -> None:
    answer = await desk.http.post(desk.url, headers={"accept": BROWSER}, json={"query": "{ viewer { id } }"})
    assert answer.json() == {"data": {"viewer": None}}


# ---------------------------------------------------------------- what protects it


async def test_the_policy_lets_only_our_own_files_run(desk: Desk) -> None:
    first, second = await opened(desk), await opened(desk)
    policy = dict(rule.split(" ", 1) for rule in first.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == policy["font-src"] == "'self'"
    found = re.fullmatch(r"'self' 'nonce-([\w-]{24})'", policy["style-src"])
    assert found
    assert f'nonce="{found[1]}"' in first.text
    assert found[1] not in second.text + second.headers["content-security-policy"]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["referrer-policy"] == "no-referrer"


async def test_files_with_hashed_names_are_kept_for_ever_and_others_are_not(desk: Desk) -> None:
    hashed = await desk.http.get(f"{desk.url}/assets/main-ABCDEFGH.js")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["x-content-type-options"] == "nosniff"
    other = await desk.http.get(f"{desk.url}/assets/notes.txt")
    assert other.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["playground.html", "%2e%2e/playground.html", "..%2fplayground.html", "", "nowhere.js"]
)
async def test_nothing_else_is_served(desk: Desk, path: str) -> None:
    assert (await desk.http.get(f"{desk.url}/assets/{path}")).status_code == 404


# ---------------------------------------------------------------- where there is none


class TestNotBuilt:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(_env_file=None, data_dir=tmp_path, playground_dir=tmp_path / "nothing")

    async def test_the_page_says_how_to_build_it_and_the_api_works(self, desk: Desk) -> None:
        page = await opened(desk)
        assert page.status_code == 503
        assert "make playground" in page.text
        assert "npm ci --prefix web" in page.text
        nonce = re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])
        assert nonce
        assert f'<style nonce="{nonce[1]}">' in page.text
        assert (await desk.http.get(f"{desk.url}/assets/main.js")).status_code == 404
        assert await desk.data("{ viewer { id } }") == {"viewer": None}

    async def test_it_is_served_as_soon_as_it_is_built(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        (tmp_path / "nothing" / "playground.html").write_text(PAGE, "utf-8")
        assert (await opened(desk)).status_code == 200


class TestOff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"playground": "off"})

    async def test_a_browser_is_told_in_json(self, desk: Desk) -> None:
        answer = await opened(desk)
        assert answer.status_code == 404
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "NOT_FOUND"
        assert "playground" in error["message"]
        assert (await desk.http.get(f"{desk.url}/assets/main-ABCDEFGH.js")).status_code == 404


@pytest.mark.parametrize(
    ("host", "playground", "served"),
    [
        ("127.0.0.1", "auto", True),
        ("localhost", "auto", True),
        ("0.0.0.0", "auto", False),  # noqa: S104
        ("0.0.0.0", "on", True),  # noqa: S104
        ("127.0.0.1", "off", False),
    ],
)
def test_by_default_it_is_where_only_this_machine_can_ask(host: str, playground: str, served: bool) -> None:
    assert Settings(_env_file=None, host=host, playground=playground).serves_playground is served


# ---------------------------------------------------------------- its examples


def test_every_call_has_an_example_and_every_example_is_valid() -> None:
    schema = build_schema((HOUSE / "schema.graphql").read_text("utf-8"))
    document = parse((WEB / "playground" / "examples.graphql").read_text("utf-8"))
    assert validate(schema, document) == []
    roots = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}
    calls = {(kind, field) for kind, root in roots.items() if root for field in root.fields}
    shown = {
        (operation.operation.value, field.name.value)
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
    }
    assert shown == calls


# ---------------------------------------------------------------- in a browser


def visited(name: str, **variables: str) -> dict[str, Any]:
    """What web/tests/visit.mjs saw on a server with these settings."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    built = (WEB / "dist" / "playground.html").is_file() and (WEB / "node_modules" / "playwright-core").is_dir()
    if not (chromium and shutil.which("node") and built):
        reason = "Chromium, Node and `make playground` are needed"
        pytest.fail(reason) if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1" else pytest.skip(reason)
    assert chromium
    with live_server(variables) as base:
        command = ["node", "tests/visit.mjs", f"{base}/graphql", chromium, *_screenshots(name)]
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {"base": base, **json.loads(done.stdout)}
    assert "failure" not in seen, seen["failure"]
    return seen


def _screenshots(name: str) -> list[str]:
    """PLAYGROUND_SCREENSHOTS names a folder for whoever wants to look."""
    folder = os.environ.get("PLAYGROUND_SCREENSHOTS")
    if folder is None:
        return []
    (Path(folder) / name).mkdir(parents=True, exist_ok=True)
    return [str(Path(folder) / name)]


@pytest.fixture(scope="module")
def visit() -> dict[str, Any]:
    return visited("visit")


def test_a_visitor_signs_in_asks_and_reads_along_in_chromium(visit: dict[str, Any]) -> None:
    assert visit["refusal"] == "password: must have at least 8 characters"
    assert visit["viewer"]["data"]["viewer"]["username"] == visit["username"]
    answer = visit["answer"]
    sequence, types, texts = zip(*answer["events"], strict=True)
    assert list(sequence) == list(range(1, len(sequence) + 1))
    assert (types[0], types[1], types[-1]) == ("TurnStarted", "RouteChosen", "TurnCompleted")
    deltas = [text for kind, text in zip(types, texts, strict=True) if kind == "AnswerDelta"]
    assert len(deltas) > 3
    assert "".join(deltas) == answer["text"] == answer["response"]["data"]["sendMessage"]["message"]["text"]
    assert "$9 a month" in answer["text"]
    assert answer["sources"]
    assert answer["links"] >= 1, "markers lead to their sources"
    growth = answer["growth"]
    assert len(growth) > 3, "the text was seen to grow"
    assert growth == sorted(growth)


def test_the_page_keeps_to_its_policy_and_to_its_server(visit: dict[str, Any]) -> None:
    assert visit["violations"] == []
    assert visit["complaints"] == []
    assert {url for url in visit["requests"] if not url.startswith((f"{visit['base']}/graphql", "data:"))} == set()
    assert any("graphql.worker" in url for url in visit["requests"]), "the editor's workers are files of ours"


def test_the_token_is_prefilled_renewed_before_it_expires_and_gone_with_the_login(visit: dict[str, Any]) -> None:
    assert visit["token"].startswith("Bearer ")
    assert visit["viewerLater"]["data"]["viewer"]["username"] == visit["username"]
    assert visit["tokenLater"] not in ("", visit["token"])
    assert visit["headersWithoutLogin"] == ""
    assert visit["stranger"] == {"data": {"viewer": None}}
    local, session = json.loads(visit["kept"])
    assert local == {}, "nothing outlives the tab"
    assert "answerdesk:login" not in session
    assert visit["tokenAfterReload"].startswith("Bearer ")


def test_the_page_can_be_used_by_everybody_and_on_a_telephone(visit: dict[str, Any]) -> None:
    assert visit["barriers"] == []
    assert visit["narrow"]["overflow"] <= 0
    assert visit["narrow"]["runsAt"] <= 390


def test_the_docs_are_there_where_the_server_tells_its_schema(visit: dict[str, Any]) -> None:
    assert visit["docs"]
    assert visit["notice"] == []


def test_a_page_without_docs_says_why_and_works() -> None:
    seen = visited("without-docs", GRAPHQL_INTROSPECTION="off")
    (notice,) = seen["notice"]
    assert "GRAPHQL_INTROSPECTION" in notice
    assert seen["stranger"] == {"data": {"viewer": None}}
    assert seen["complaints"] == seen["violations"] == []
