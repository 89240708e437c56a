"""Introspection and suggestions: whom the schema is told."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.limits import Limits
from settings import Settings
from tests.graph.desk import Desk, code_of, open_desk
from tests.graph.judging import ALL_OPTIONS
from tests.graph.sockets import signed_in


@pytest.fixture
async def reticent(migrated: Path, tmp_path: Path, settings: Settings) -> AsyncIterator[Desk]:
    """A desk in production mode."""
    file = tmp_path / "reticent.sqlite3"
    shutil.copy(migrated, file)
    off = settings.model_copy(update={"graphql_introspection": "off"})
    async with open_desk(f"sqlite+aiosqlite:///{file}", off) as desk:
        yield desk


async def test_in_production_mode_the_schema_is_not_told(desk: Desk, reticent: Desk) -> None:
    for query in (ALL_OPTIONS, '{ __type(name: "User") { name } }',
                  "{ viewer { id } ...F } fragment F on Query { ...G } fragment G on Query { __schema { types { name } } }"):  # fmt: skip
        assert "errors" not in await desk.ask(query)
        answer = await reticent.ask(query)
        assert code_of(answer) == "GRAPHQL_VALIDATION_FAILED"
        assert "__schema" in answer["errors"][0]["message"]
        assert "data" not in answer
    assert await reticent.data("{ __typename viewer { __typename } }") == {"__typename": "Query", "viewer": None}


async def test_in_production_mode_no_names_are_suggested(desk: Desk, reticent: Desk) -> None:
    rating = "mutation($rating: Rating!) { rateMessage(messageId: 1, rating: $rating) { id } }"
    wrong = [
        ("{ viewr { id } }", None),
        ("{ sessions(frist: 1) { edges { cursor } } }", None),
        ("{ viewer { ...F } } fragment F on Usr { id }", None),
        ("mutation { rateMessage(messageId: 1, rating: UPP) { id } }", None),
        (rating, {"rating": "UPP"}),
    ]
    for query, variables in wrong:
        assert "Did you mean" in json.dumps(await desk.ask(query, variables)), query
        answer = await reticent.ask(query, variables)
        assert answer["errors"]
        assert "Did you mean" not in json.dumps(answer), query
    send = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq } }"
    for asked, suggests in ((desk, True), (reticent, False)):
        async with signed_in(asked, await asked.sign_up("bob")) as socket:
            await socket.subscribe(send, {"input": {"sessionId": "x", "text": "y", "onBusy": "ENQUEU"}})
            told = await socket.receive()
            assert told["type"] == "error"
            assert ("Did you mean" in json.dumps(told)) is suggests


@pytest.mark.parametrize(
    ("setting", "host", "allowed"),
    [("auto", "127.0.0.1", True), ("auto", "::1", True), ("auto", "localhost", True), ("auto", "0.0.0.0", False),  # noqa: S104
     ("auto", "::", False), ("auto", "desk.example", False), ("on", "0.0.0.0", True), ("off", "127.0.0.1", False)],  # noqa: S104
)  # fmt: skip
def test_a_server_that_others_reach_is_in_production_mode(setting: str, host: str, allowed: bool) -> None:
    settings = Settings(_env_file=None, graphql_introspection=setting, host=host)
    assert Limits.of(settings).introspection is allowed
