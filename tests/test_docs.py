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
        path, _, function = name.partition("::")
        tree = ast.parse((HOUSE / path).read_text("utf-8"))
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert function in functions, f"{name}, which rule {rule} names, is not there"
