"""What `make conformance` runs and prints: the tests that carry `@pytest.mark.conformance(protocol)`, counted by protocol.

    pytest -p tests.conformance

A test counts once, or for each input where it says so: `record_property(INPUTS, 20_000)`. Whatever did not pass is a
miss, a skipped test and a protocol without any test too, and a miss fails the run.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import pytest

PROTOCOLS = (
    "GraphQL over HTTP",
    "graphql-transport-ws",
    "graphql-sse, distinct connections",
    "graphql-sse, single connection",
    "Multipart subscriptions",
    "Clients: graphql-ws, graphql-sse, urql, Apollo, Relay",
    "Relay",
    "Persisted documents",
    "Malformed HTTP",
    "Malformed WebSocket",
    "Malformed SSE",
)
INPUTS = "inputs"
PROTOCOL = "conformance"
"""The property of a report that says where its test counts."""


@dataclass
class Count:
    """Of one test."""

    passed: bool = False
    missed: bool = False
    inputs: int = 1
    protocols: set[str] = field(default_factory=set)

    @property
    def is_hit(self) -> bool:
        return self.passed and not self.missed


class Conformance:
    """Belongs to the process that prints: with xdist, the others send their reports there."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Count] = defaultdict(Count)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        count = self._counts[report.nodeid]
        count.missed |= not report.passed
        count.passed |= report.when == "call" and report.passed
        for name, value in report.user_properties:
            if name == PROTOCOL:
                count.protocols.add(str(value))
            elif name == INPUTS and isinstance(value, int):
                count.inputs = value

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if any(misses for *_, misses in self._table()) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("conformance")
        for protocol, passed, total, misses in self._table():
            score = f"{passed:,}/{total:,}"
            terminalreporter.write_line(f"{protocol:<56}{score:>15}  {', '.join(misses) or '✓'}")

    def _table(self) -> list[tuple[str, int, int, list[str]]]:
        """Protocol, passed, total, and the names of what did not pass."""
        known = {protocol for count in self._counts.values() for protocol in count.protocols}
        return [self._row(protocol) for protocol in (*PROTOCOLS, *sorted(known - set(PROTOCOLS)))]

    def _row(self, protocol: str) -> tuple[str, int, int, list[str]]:
        counts = {name: count for name, count in self._counts.items() if protocol in count.protocols}
        passed = sum(count.inputs for count in counts.values() if count.is_hit)
        total = sum(count.inputs for count in counts.values())
        misses = [name for name, count in counts.items() if not count.is_hit]
        return protocol, passed, total, misses if counts else ["there is no such test"]


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Conformance())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves only what counts."""
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        protocols = [marker.args[0] for marker in item.iter_markers("conformance")]
        item.user_properties += [(PROTOCOL, protocol) for protocol in dict.fromkeys(protocols)]
        (chosen if protocols else others).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)
