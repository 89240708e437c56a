"""How many SQL statements a list costs: the same for a long one as for a short one, on every database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from settings import Settings
from tests.databases import BACKENDS, migrated_database
from tests.graph.busy import fill
from tests.graph.desk import Desk, open_desk

SIZES = (1, 5, 50)
TRANSACTIONS = ("BEGIN", "SET TRANSACTION")
LAST_MESSAGES = """{ sessions(first: 50) { edges { node { title messages(last: 1) {
  edges { node { text sources { title spans { start } } } } pageInfo { hasPreviousPage } } } } } }"""
EVERYTHING = """query($after: String) { sessions(first: 50, after: $after) {
  edges { node { id activeTurn { ...T } last: messages(last: 1) { ...M } start: messages(first: 2) { ...M } } }
  pageInfo { hasNextPage } } }
fragment T on Turn { status routes { agent { title } } }
fragment M on MessageConnection { pageInfo { hasNextPage hasPreviousPage }
  edges { node { text turn { ...T } sources { title } versions { text turn { ...T } sources { title } } } } }"""


@pytest.fixture(params=BACKENDS)
async def desk(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> AsyncIterator[Desk]:
    with migrated_database(request.param, tmp_path) as url:
        async with open_desk(url, settings) as desk:
            yield desk


@contextmanager
def counting() -> Iterator[list[str]]:
    """Gathers the statements of all engines, without those that only begin a transaction."""
    statements: list[str] = []

    def listen(*arguments: Any) -> None:
        if not arguments[2].startswith(TRANSACTIONS):
            statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", listen)


@pytest.mark.parametrize(
    ("query", "figure"), [(LAST_MESSAGES, 4), (EVERYTHING, 10)], ids=["last messages", "everything"]
)
async def test_a_page_of_sessions_with_all_below_is_a_fixed_number_of_statements(
    desk: Desk, query: str, figure: int
) -> None:
    token, counted = await desk.sign_up(), {}
    for size in SIZES:
        await fill(desk, token, size)
        with counting() as statements:
            data = await desk.data(query, token=token)
        assert len(data["sessions"]["edges"]) == size
        counted[size] = len(statements)
    heard = figure - (desk.database.name == "SQLite")  # where a glance at who asks passes SQLAlchemy by
    assert counted == dict.fromkeys(SIZES, heard), "\n\n".join(statements)
