"""Every audit of npm's graphql-http, the reference implementation of GraphQL over HTTP, against the real server."""

from typing import Any

import pytest

from tests.live_server import live_server
from tests.node import need_node, report_of

pytestmark = pytest.mark.conformance("GraphQL over HTTP")
AUDITS = [
    "22EB", "4655", "47DE", "80D8", "82A3", "BF61", "78D5", "2C94", "5A70", "9C48", "9ABE", "03D4",
    "A5BF", "423L", "LKJ0", "LKJ1", "LKJ2", "LKJ3", "34A2", "13EE", "6C00", "6C01", "6C02", "6C03",
    "8161", "B8B3", "94B0", "0220", "94B1", "0221", "94B2", "0222", "4760", "4761", "4762", "4763",
    "2EA1", "28B9", "D6D5", "6A70", "58B0", "58B1", "58B2", "58B3", "428F", "1B7A", "B6DC", "BCF8",
    "B7N8", "8764", "3E3A", "572B", "FDE2", "7B9B", "865D", "556A", "D586", "51FE", "74FF", "5E5B",
    "86EE",
]  # fmt: skip
"""All that there are: an audit that a new version adds or drops has to be written here."""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What each audit found, by its id."""
    need_node()
    with live_server({"CORS_ORIGINS": "https://app.example", "GRAPHQL_INTROSPECTION": "on"}) as base:
        audits = report_of("audits.mjs", f"{base}/graphql")
    return {audit["id"]: audit for audit in audits}


def test_no_audit_is_left_out(told: dict[str, Any]) -> None:
    assert list(told) == AUDITS


@pytest.mark.parametrize("audit", AUDITS)
def test_the_audit_is_ok(told: dict[str, Any], audit: str) -> None:
    assert told[audit]["status"] == "ok", told[audit]
