"""How long the hardest documents keep the server busy until it knows whether they may run: `python -m bench.documents`.

CPU milliseconds of parsing, measuring and validating, and of fitting the variables to their types, nothing remembered,
the best of three. Fails above LIMIT.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any, cast

from graphql import (
    DocumentNode,
    OperationDefinitionNode,
    get_introspection_query,
    get_variable_values,
    specified_rules,
)

from domain.inputs import MESSAGE_LENGTH
from graph.documents import Documents
from graph.limits import MAX_CHARACTERS, MAX_DEFINITIONS, MAX_GIVEN_VALUES, MAX_LINES, MAX_SELECTIONS, Limits
from graph.schema import create_schema

LIMIT = 50.0
BODY = 262_144
MAX_COERCION_ERRORS = 50
"""After which graphql-core stops looking, as it executes."""
LIMITS = Limits()
TOKENS = LIMITS.tokens - 40


def documents() -> Iterator[tuple[str, str]]:
    """What a document can be made large with, each to the bound where the next check takes over."""
    yield "introspection, all options", get_introspection_query(True, True, True, True, True)
    yield "a long message in the document", f'{{ sessions(search: "{"x" * MESSAGE_LENGTH}") {{ edges {{ cursor }} }} }}'
    for name, text in (("comment", "#" + "x" * BODY), ("commas", "," * BODY), ("name", "x" * BODY)):
        yield f"{name}, 256 KB", "{ viewer { id " + text + "\n} }"
    for name, text in (("comment", "#" + "x" * MAX_CHARACTERS), ("name", "x" * MAX_CHARACTERS)):
        yield f"{name}, to the bound", "{ viewer { id " + text[: MAX_CHARACTERS - 100] + "\n} }"
    lines = ("x" * 4 + "\n") * (MAX_LINES - 1)
    yield "block string and fields", f'{{ node(id: """{lines}""") {{ {"id " * TOKENS} }} }}'
    for number in (MAX_SELECTIONS - 10, TOKENS):
        yield f"{number} times one field", "{ viewer { " + "id " * number + "} }"
        yield f"{number} unknown fields", "{ viewer { " + " ".join(f"f{n}" for n in range(number)) + " } }"
    for number in (MAX_SELECTIONS // 2 - 10, TOKENS // 4):
        yield f"{number} inline fragments", "{ viewer { " + "... { id } " * number + "} }"
    for number in (LIMITS.aliases, TOKENS // 3):
        yield f"{number} aliases", "{ viewer { " + " ".join(f"a{n}: id" for n in range(number)) + " } }"
    yield "unknown arguments", "{ viewer { id(" + " ".join(f"f{n}: 1" for n in range(TOKENS // 3)) + ") } }"
    yield (
        "an error on each line",
        "{ viewer { " + "\n" * (MAX_LINES - 1) + "".join(f" f{n}" for n in range(900)) + " } }",
    )
    yield "a long list", "{ node(id: [" + "1 " * TOKENS + "]) { id } }"
    for number in (190, TOKENS // 3):
        members = " ".join(f"f{n}: 1" for n in range(number))
        yield f"{number} unknown members", f"subscription {{ sendMessage(input: {{ {members} }}) {{ seq }} }}"
    yield "lists in lists", "{ node(id: " + "[" * (TOKENS // 2) + "]" * (TOKENS // 2) + ") { id } }"
    yield "fields in fields", "{ viewer " * (TOKENS // 2) + "}" * (TOKENS // 2)
    yield "braces", "{" * BODY
    yield "directives", "{ viewer { id " + "@skip(if: false) " * (TOKENS // 6) + "} }"
    yield "directives on fields", "{ viewer { " + "id @skip(if: true) " * (TOKENS // 7) + "} }"
    yield "variables", _variables(TOKENS // 9)
    yield from _fragments(MAX_DEFINITIONS - 2, (MAX_SELECTIONS - 300) // MAX_DEFINITIONS)
    yield from _fragments(MAX_DEFINITIONS // 2, (MAX_SELECTIONS - 300) // MAX_DEFINITIONS * 2)
    yield from _fragments(TOKENS // 9, 1)
    for operations, variables in ((95, 20), (20, 95), (20, 200), (TOKENS // 20, 20)):
        yield f"{operations} operations, {variables} variables", _operations(operations, variables)


def _variables(number: int) -> str:
    declared = " ".join(f"$v{n}: Int" for n in range(number))
    used = " ".join(f"s{n % 19}: sessions(first: $v{n}) {{ edges {{ cursor }} }}" for n in range(19))
    return f"query({declared}) {{ {used} }}"


def _fragments(number: int, fields: int) -> Iterator[tuple[str, str]]:
    each = range(number)
    fill = "id " * fields
    side_by_side = "{ viewer { " + " ".join(f"...F{n}" for n in each) + " } }"
    yield (
        f"{number} fragments, side by side",
        side_by_side + "".join(f"fragment F{n} on User {{ {fill}}}" for n in each),
    )
    last = f"fragment F{number} on User {{ id }}"
    for name, repeated in (("in a chain", 1), ("doubling", 2)):
        spreads = [f"fragment F{n} on User {{ {fill}{f'...F{n + 1} ' * repeated}}}" for n in each]
        yield f"{number} fragments, {name}", "{ viewer { ...F0 } }" + "".join(spreads) + last
    circle = "\n" * (MAX_LINES - 1) + "".join(
        f"fragment F{n} on User {{ ...F{(n + 1) % number} ...F{(n * 7) % number} }}" for n in each
    )
    yield f"{number} fragments, in circles", "{ viewer { id } }" + circle


def _operations(number: int, variables: int) -> str:
    shared = "fragment F on Query { " + "node(id: $a) { id } " * variables + "}"
    return "".join(f"query Q{n}($a: ID!) {{ ...F }} " for n in range(number)) + shared


def variables() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What a request can be made large with beside its document, to its bound and to the body's."""
    sends = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq } }"
    names = 'subscription($a: [String!]) { sendMessage(input: {sessionId: "x", text: "y", agents: $a}) { seq } }'
    rates = "mutation($rating: Rating!) { rateMessage(messageId: 1, rating: $rating) { id } }"
    for number in (MAX_GIVEN_VALUES - 1, BODY // 12):
        yield f"variables: {number:,} unknown members", sends, {"input": {f"f{n}": 1 for n in range(number)}}
        yield f"variables: {number:,} wrong items", names, {"a": [1] * number}
        yield f"variables: {number:,} items", names, {"a": [""] * number}
        yield f"variables: {number:,} empty objects", names, {"a": [{} for _ in range(number)]}
        yield f"variables: {number:,} undeclared", sends, {f"f{n}": 1 for n in range(number)}
    for number in (1, 50, 900):
        members = {f"{n}".ljust((MAX_CHARACTERS - 9) // number, "x"): 1 for n in range(number)}
        yield f"variables: {number} long names", sends, {"input": members}
    for length in (MAX_CHARACTERS - 9, BODY):
        yield f"variables: {length:,} letters for an enum", rates, {"rating": "x" * length}
    yield (
        "variables: a long text for a number",
        "query($n: Int) { sessions(first: $n) { edges { cursor } } }",
        {"n": "1" * (MAX_CHARACTERS - 9)},
    )


def judged(text: str, given: dict[str, Any]) -> tuple[float, str]:
    """CPU milliseconds, and what is found."""
    schema = create_schema(LIMITS)
    best, found = float("inf"), ""
    for _ in range(3):
        fresh = Documents(LIMITS)
        start = time.process_time()
        fresh.operation_type(text, None)
        errors = fresh.check(schema._schema, text, "Q0" if "query Q0" in text else None, given, specified_rules)
        node = fresh.parse(text)
        if given and not errors and isinstance(node, DocumentNode):
            declared = cast("OperationDefinitionNode", node.definitions[0]).variable_definitions or ()
            fitted = get_variable_values(schema._schema, declared, given, MAX_COERCION_ERRORS)
            errors = fitted if isinstance(fitted, list) else []
        best = min(best, (time.process_time() - start) * 1e3)
        found = errors[0].message[:80].replace("\n", " ") if errors else "may run"
    return best, found


def main() -> int:
    slow = 0
    judging: list[tuple[str, str, dict[str, Any]]] = [(name, text, {}) for name, text in documents()]
    for name, text, given in (*judging, *variables()):
        spent, found = judged(text, given)
        slow += spent > LIMIT
        print(f"{spent:7.1f} ms  {len(text):7,}  {name:40} {found}")
    print(f"{slow} above {LIMIT:.0f} ms" if slow else f"none above {LIMIT:.0f} ms")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
