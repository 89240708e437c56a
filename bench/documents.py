"""How long the hardest documents keep the server busy until it knows whether they may run: `python -m bench.documents`.

CPU milliseconds of parsing, measuring and validating, of fitting the variables to their types, and of telling what is
wrong, nothing remembered, the best of ten; and of making requests out of bodies. The slowest are printed (`--all`: every one; or those whose name holds a
word that is given). Fails above LIMIT.
"""

import gc
import sys
import time
from collections.abc import Iterator
from typing import Any, cast

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, get_variable_values, specified_rules

from bench.hard_documents import documents
from bench.hard_texts import BODY, LIMITS, TEXT
from domain.errors import BadUserInput
from graph.documents import Documents
from graph.errors import tell_all
from graph.limits import MAX_CHARACTERS, MAX_GIVEN_VALUES
from graph.requests import decode_json, operation_of
from graph.schema import create_schema

LIMIT = 50.0
SHOWN = 25
TIMES = 10
MAX_COERCION_ERRORS = 50
"""After which graphql-core stops looking, as it executes."""


def variables() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What a request can be made large with beside its document, to its bound and to the body's."""
    sends = "subscription($input: SendMessageInput!) { sendMessage(input: $input) { seq } }"
    names = 'subscription($a: [String!]) { sendMessage(input: {sessionId: "x", text: "y", agents: $a}) { seq } }'
    rates = "mutation($rating: Rating!) { rateMessage(messageId: 1, rating: $rating) { id } }"
    pages = "query($n: Int) { sessions(first: $n) { edges { cursor } } }"
    for number in (MAX_GIVEN_VALUES - 1, BODY // 12):
        yield f"variables: {number:,} unknown members", sends, {"input": {f"f{n}": 1 for n in range(number)}}
        almost = {f"clientMessageIdentifier{n}": 1 for n in range(number)}
        yield f"variables: {number:,} almost known members", sends, {"input": almost}
        yield f"variables: {number:,} wrong items", names, {"a": [1] * number}
        yield f"variables: {number:,} items", names, {"a": [""] * number}
        yield f"variables: {number:,} empty objects", names, {"a": [{} for _ in range(number)]}
        yield f"variables: {number:,} undeclared", sends, {f"f{n}": 1 for n in range(number)}
    for number in (1, 50, 900):
        members = {f"{n}".ljust((MAX_CHARACTERS - 9) // number, "x"): 1 for n in range(number)}
        yield f"variables: {number} long names", sends, {"input": members}
    for length in (TEXT, BODY):
        yield f"variables: {length:,} letters for an enum", rates, {"rating": "x" * length}
        yield f"variables: {length:,} letters for an object", sends, {"input": "x" * length}
        yield f"variables: {length:,} controls for an object", sends, {"input": "\x01" * length}
        yield f"variables: {length:,} letters in a list for a number", pages, {"n": ["x" * length]}
        text = {"text": "x" * length}
        yield (
            f"variables: {length:,} letters, and unknown members",
            sends,
            {"input": text | {f"f{n}": 1 for n in range(99)}},
        )
    yield "variables: a long text for a number", pages, {"n": "1" * TEXT}
    yield "variables: a long number", pages, {"n": 10**4_000}
    deep: Any = "x"
    for _ in range(250):
        deep = [deep]
    yield "variables: a deep list", names, {"a": deep}


def bodies() -> Iterator[tuple[str, bytes]]:
    """Requests to the bound that are no JSON, late, or no request."""
    yield "letters of two bytes", b'{"query": "' + "\u00e9".encode() * (BODY // 2) + b'"}'
    yield "escapes", b'{"query": "' + b"\\u0041" * (BODY // 6) + b'"}'
    yield "half characters", b'{"query": "{ a }", "variables": {"a": "' + b"\\ud800" * (BODY // 6) + b'"}}'
    yield "not UTF-8, at the end", b'{"query": "' + b"x" * BODY + b"\xff" + b'"}'
    yield "not closed", b'{"query": "' + b"x" * BODY
    for name, unit in (("lists", b"["), ("objects", b'{"a":')):
        yield f"nothing but {name}", unit * (BODY // len(unit))
    yield "many numbers", b'{"query": "{ a }", "variables": {"a": [' + b"1.5e300," * (BODY // 8) + b"1]}}"
    yield "long numbers", b'{"query": "{ a }", "variables": {"a": [' + (b"9" * 4_000 + b",") * (BODY // 4_001) + b"1]}}"
    yield "one number", b'{"query": "{ a }", "variables": {"a": ' + b"9" * BODY + b"}}"
    yield "many members", b'{"query": "{ a }"' + b"".join(b',"%d":1' % n for n in range(BODY // 9)) + b"}"
    yield "many members, not closed", b'{"query": "{ a }"' + b"".join(b',"%d":1' % n for n in range(BODY // 9))


def decoded(body: bytes) -> tuple[float, str]:
    """CPU milliseconds until it is a request, and what comes of it."""
    best, found = float("inf"), ""
    for _ in range(TIMES):
        gc.collect()
        start = time.process_time()
        try:
            members = decode_json(body)
            found = f"query of {len(operation_of(members).query):,}" if isinstance(members, dict) else "no object"
        except BadUserInput as error:
            found = error.message
        best = min(best, (time.process_time() - start) * 1e3)
    return best, found


def judged(text: str, given: dict[str, Any], name: str | None) -> tuple[float, str]:
    """CPU milliseconds, and what is found."""
    best, found = float("inf"), ""
    for _ in range(TIMES):
        fresh = Documents(LIMITS)
        gc.collect()
        start = time.process_time()
        told = tell_all(_errors(fresh, text, given, name), "")
        best = min(best, (time.process_time() - start) * 1e3)
        found = told[0]["message"][:90].replace("\n", " ") if told else "may run"
    return best, found


def _errors(fresh: Documents, text: str, given: dict[str, Any], name: str | None) -> list[GraphQLError]:
    """As `graph.operations` and then Strawberry come to them."""
    schema = create_schema(LIMITS)._schema
    if name is not None and fresh.operation_type(text, name) is None:
        return [GraphQLError("The document holds no operation of that name.", extensions={"code": "-"})]
    errors = fresh.check(schema, text, name, given, specified_rules)
    node = fresh.parse(text)
    if given and not errors and isinstance(node, DocumentNode):
        declared = cast("OperationDefinitionNode", node.definitions[0]).variable_definitions or ()
        fitted = get_variable_values(schema, declared, given, MAX_COERCION_ERRORS)
        errors = fitted if isinstance(fitted, list) else []
    return errors


def main() -> int:
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)  # as the server has it
    words = [word for word in sys.argv[1:] if word != "--all"]
    judging: list[tuple[str, str, dict[str, Any], str | None]]
    judging = [(kind, text, {}, "Q0" if "query Q0" in text else None) for kind, text in documents()]
    judging += [(kind, text, given, None) for kind, text, given in variables()]
    judging.append(("a name of 256 KB", "query Q { viewer { id } }", {}, "Q" * BODY))
    judging = [each for each in judging if not words or any(word in each[0] for word in words)]
    measured = []
    for kind, text, given, name in judging:
        spent, found = judged(text, given, name)
        measured.append((spent, f"{spent:7.1f} ms  {len(text):7,}  {kind:50} {found}"))
    for kind, body in bodies():
        if not words or any(word in f"body: {kind}" for word in words):
            spent, found = decoded(body)
            measured.append((spent, f"{spent:7.1f} ms  {len(body):7,}  {f'body: {kind}':50} {found}"))
    measured.sort(reverse=True)
    for _, line in measured if words or "--all" in sys.argv else measured[:SHOWN]:
        print(line)
    slow = sum(spent > LIMIT for spent, _ in measured)
    print(f"{len(measured)} documents, the worst {measured[0][0]:.1f} ms: {slow or 'none'} above {LIMIT:.0f} ms")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
