"""The pages of docs/ say what is there."""

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
PROTOCOL = (HOUSE / "docs" / "PROTOCOL.md").read_text("utf-8")
RULES, _, HOLDERS = PROTOCOL.partition("\n## 7. ")
ROWS = re.findall(r"^\| ([0-9.]+) \| (.+) \|$", HOLDERS, re.MULTILINE)
CLIENTS = {"1.7"}
"""Rules for clients, which no test of a server can hold."""


FAULTS_PAGE = (HOUSE / "docs" / "faults.md").read_text("utf-8")
FAULTS = re.findall(r"^\| ([^|]+?) \|(?:[^|]*\|){3} (tests/[^|]+?) \|$", FAULTS_PAGE, re.MULTILINE)


def is_there(test: str) -> bool:
    """Whether a test of this name, file::function, is in the tree."""
    path, _, function = test.partition("::")
    tree = ast.parse((HOUSE / path).read_text("utf-8"))
    return function in (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rules() -> list[str]:
    """Their numbers: 2.3 for a section's third, 3 for a section that is one rule."""
    found = []
    for section in re.split(r"^## ", RULES, flags=re.MULTILINE)[1:]:
        number = section.partition(".")[0]
        numbered = re.findall(r"^([0-9]+)\. ", section.partition("\n")[2], re.MULTILINE)
        found += [f"{number}.{rule}" for rule in numbered] or [number]
    return found


def test_every_rule_of_the_protocol_is_held_by_a_test() -> None:
    held = [number for number, _ in ROWS]
    assert held == [number for number in rules() if number not in CLIENTS]
    assert len(held) > 25


@pytest.mark.parametrize(("rule", "tests"), ROWS, ids=[number for number, _ in ROWS])
def test_the_tests_that_hold_a_rule_are_there(rule: str, tests: str) -> None:
    for name in tests.split(", "):
        assert is_there(name), f"{name}, which rule {rule} names, is not there"


@pytest.mark.parametrize(("fault", "tests"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_the_tests_that_show_a_fault_are_there(fault: str, tests: str) -> None:
    for name in tests.split(", "):
        assert is_there(name), f"{name}, which docs/faults.md names for {fault!r}, is not there"


def test_every_fault_has_a_row_of_its_own() -> None:
    lines = re.findall(r"^\|.*\|$", FAULTS_PAGE, re.MULTILINE)
    tables = FAULTS_PAGE.count("\n| fault |")
    assert len(FAULTS) == len(lines) - 2 * tables > 20


def test_the_examples_for_clients_are_the_files_that_the_tests_run() -> None:
    page = (HOUSE / "docs" / "clients.md").read_text("utf-8")
    shown = re.findall(r"^\[`(tests/clients/.+)`\]\(\.\./\1\):\n\n```js\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 6
    for path, code in shown:
        assert code == (HOUSE / path).read_text("utf-8"), f"docs/clients.md shows another {path}"
