"""`make conformance` says what passed, and fails on any miss."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conformance import PROTOCOLS

HOUSE = Path(__file__).resolve().parent.parent
SUITES = """
import pytest

{suites}

def test_that_counts_nowhere():
    raise AssertionError("it is not run")
"""
SUITE = """
@pytest.mark.conformance({protocol!r})
def test_{number}(record_property):
    {body}
"""


def run(folder: Path, bodies: dict[str, str], *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit status, and each row of the table: its score and what stands beside it."""
    suites = [SUITE.format(protocol=name, number=n, body=body) for n, (name, body) in enumerate(bodies.items())]
    file = folder / "test_suites.py"
    file.write_text(SUITES.format(suites="\n".join(suites)), "utf-8")
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", str(folder), "-p", "tests.conformance",
               "-p", "no:cacheprovider", *options, str(file)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=HOUSE, env=environment, capture_output=True, text=True, check=False)
    rows = re.findall(r"^(\S.*?)  +([0-9,]+/[0-9,]+)  (.+)$", done.stdout, re.MULTILINE)
    return done.returncode, {name: (score, beside) for name, score, beside in rows}


def test_every_protocol_has_a_row_with_what_passed(tmp_path: Path) -> None:
    bodies = dict.fromkeys(PROTOCOLS, "pass") | {"Malformed SSE": "record_property('inputs', 20_000)"}
    status, rows = run(tmp_path, bodies, "-n", "2")
    assert (status, list(rows)) == (0, list(PROTOCOLS))
    assert rows.pop("Malformed SSE") == ("20,000/20,000", "✓")
    assert set(rows.values()) == {("1/1", "✓")}


def test_a_skipped_test_is_a_miss(tmp_path: Path) -> None:
    bodies = dict.fromkeys(PROTOCOLS, "pass") | {"GraphQL over HTTP": "pytest.skip('no Node')"}
    status, rows = run(tmp_path, bodies, "-n", "2")
    assert (status, rows["GraphQL over HTTP"]) == (1, ("0/1", "test_suites.py::test_0"))
    assert rows["Relay"] == ("1/1", "✓")


def test_a_suite_that_is_not_there_is_a_miss(tmp_path: Path) -> None:
    status, rows = run(tmp_path, dict.fromkeys(PROTOCOLS[1:], "pass"))
    assert (status, rows[PROTOCOLS[0]]) == (1, ("0/0", "there is no such test"))
