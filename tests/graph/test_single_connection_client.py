"""npm's graphql-sse in its single connection mode against the real server."""

from collections.abc import Iterator

import pytest

from tests.live_server import live_server
from tests.node import need_node, report_of
from tests.standins.azure_openai import AzureOpenAIStandIn

pytestmark = pytest.mark.conformance("graphql-sse, single connection")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    need_node()
    with AzureOpenAIStandIn(pace=0.02) as upstream:  # or whole answers come before there is a middle to break in
        upstream.otherwise = "The Nano plan costs $9 a month [1]. It has all that one person needs [1]."
        with live_server(upstream.environment()) as base:
            yield f"{base}/graphql"


@pytest.mark.parametrize("keeping", ["kept", "lazy"])
def test_one_stream_carries_turns_queries_and_mutations(url: str, keeping: str) -> None:
    report = report_of("single-connection.mjs", keeping, url)
    assert report["events"] >= 5
    assert "$9" in report["text"]
