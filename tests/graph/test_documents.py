"""Documents: read once, and what is told of those that do not fit the schema."""

import pytest
from graphql import parse, specified_rules, validate

from graph.documents import KEPT_LENGTH, MAX_ERRORS, MAX_ERRORS_OF_LONG, Documents
from graph.errors import GraphQLCode
from graph.limits import MAX_SELECTIONS
from tests.graph.judging import COSTLY, LIMITS, SCHEMA, UNPRICED, judge, nested, repeated


def test_the_same_document_is_read_once_and_judged_for_each_variables() -> None:
    documents = Documents(LIMITS)
    text, schema = COSTLY, SCHEMA
    assert documents.check(schema, text, None, {"n": 1}, specified_rules) == []
    assert documents.check(schema, text, None, {"n": 100}, specified_rules)
    assert documents.check(schema, text, None, {"n": 1}, specified_rules) == []
    assert documents.parse(text) is documents.parse(text)
    long = text + "#" + "x" * 20_000
    assert documents.parse(long) is documents.parse(long)
    assert documents.parse("{ a {") is documents.parse("{ a {")


def test_only_the_operation_that_runs_counts() -> None:
    text = f"query Small {{ viewer {{ id }} }} query Large {nested(LIMITS.depth + 1)}"
    assert judge(text, "Small") == []
    (error,) = judge(text, "Large", UNPRICED)
    assert "fields one in another" in error.message
    assert [error.message for error in judge(text)] == [
        "The document holds several operations: name one in `operationName`."
    ]


def test_fields_of_one_name_are_compared_up_to_a_bound() -> None:
    assert judge(repeated("id", 40)) == []
    (error,) = judge(repeated("id", 200))  # which graphql-core would compare
    assert "same names" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "query Q($n: Int) { sessions { ...F } } fragment F on ChatSessionConnection { edges { cursor } }",
        "query Q($n: Int) { ...F } fragment F on Query { sessions(first: $n) { edges { cursor } } }",
        "query Q($n: Int) { viewer { id } } fragment F on Query { sessions(first: $n) { edges { cursor } } }",
        "query Q { ...F } fragment F on Query { sessions(first: $n) { edges { cursor } } }",
        "query Q($n: ID) { ...F } fragment F on Query { sessions(first: $n) { edges { cursor } } }",
        "{ viewer { a: id a: username ...F } } fragment F on User { a: email b }",
        "{ viewer { ...F } } fragment F on User { ...F } fragment F on User { id(x: 1) @y }",
    ],
)
def test_the_validation_says_what_graphql_cores_says(text: str) -> None:
    expected = [(error.message, error.locations) for error in validate(SCHEMA, parse(text))]
    assert [(error.message, error.locations) for error in judge(text)] == expected


def test_errors_are_told_up_to_a_bound() -> None:
    wrong = "{ viewer { " + " ".join(f"f{n}" for n in range(MAX_ERRORS + 5)) + " } }"
    for text, bound in ((wrong, MAX_ERRORS), (wrong + "#" * KEPT_LENGTH, MAX_ERRORS_OF_LONG)):
        *told, last = judge(text)
        assert told[0].message.startswith("Cannot query field 'f0' on type 'User'.")
        assert len(told) == bound
        assert "Too many validation errors" in last.message


def test_definitions_of_a_schema_are_refused_as_such() -> None:
    types = "".join(f" scalar S{n}" for n in range(MAX_ERRORS + 5))
    for text in ("{ viewer { id } }" + types, types):
        messages = [error.message for error in judge(text)]
        assert messages == [f"The 'S{n}' definition is not executable." for n in range(MAX_ERRORS)]


def test_a_document_without_operations_is_judged_too() -> None:
    (unused,) = judge("fragment F on User { id }")
    assert unused.message == "Fragment 'F' is never used."
    (large,) = judge("fragment F on User { " + "id " * (MAX_SELECTIONS + 1) + "}")
    assert large.extensions == {
        "code": GraphQLCode.VALIDATION_FAILED,
        "details": {"limit": "selections", "bound": MAX_SELECTIONS, "counted": MAX_SELECTIONS + 1},
    }
