"""Documents: parsed and validated once for all the requests that repeat them."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from graph.errors import GraphQLCode

MAX_TOKENS = 10_000
"""Of one document. Parsing stops there; what clients write has a few hundred."""
KEPT_LENGTH = 16_384
"""Characters of the longest document that is remembered, so that 512 of them stay small."""
KEPT_DOCUMENTS = 512


def parse_document(text: str) -> DocumentNode:
    """Raises GraphQLSyntaxError, or RecursionError for a nesting that no client needs."""
    return _parse_kept(text) if len(text) <= KEPT_LENGTH else parse(text, max_tokens=MAX_TOKENS)


def operation_type(text: str, name: str | None) -> OperationType | None:
    """Of the operation that would run; None when the document does not say."""
    try:
        operation = get_operation_ast(parse_document(text), name)
    except (GraphQLError, RecursionError):
        return None
    return operation.operation if operation is not None else None


class KeptDocuments(SchemaExtension):
    """Gives Strawberry the parsed document and the validation's outcome. Documents that fail are left to Strawberry's
    own parser, which reports them."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        context.parse_options = {"max_tokens": MAX_TOKENS}
        with suppress(GraphQLError, RecursionError):
            context.graphql_document = parse_document(context.query or "")
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        document, rules = context.graphql_document, context.validation_rules
        if document is not None:
            kept = len(context.query or "") <= KEPT_LENGTH
            check = _checked_kept if kept else _checked
            context.pre_execution_errors = [
                *_unresolved(document, context._provided_operation_name),
                *check(context.schema._schema, document, rules),
            ]
        yield


def _unresolved(document: DocumentNode, name: str | None) -> list[GraphQLError]:
    """Strawberry runs the first of several operations when none is named; GraphQL § 6.1 asks to refuse."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None or len(operations) < 2:
        return []
    code = {"code": GraphQLCode.OPERATION_RESOLUTION_FAILURE}
    return [GraphQLError("The document holds several operations: name one in `operationName`.", extensions=code)]


@lru_cache(KEPT_DOCUMENTS)
def _parse_kept(text: str) -> DocumentNode:
    return parse(text, max_tokens=MAX_TOKENS)


def _checked(schema: GraphQLSchema, document: DocumentNode, rules: tuple[Any, ...]) -> tuple[GraphQLError, ...]:
    try:
        errors = validate_document(schema, document, rules)
    except RecursionError:
        errors = [GraphQLError("The document is nested too deeply.")]
    for error in errors:
        error.extensions = {**(error.extensions or {}), "code": GraphQLCode.VALIDATION_FAILED}
    return tuple(errors)


_checked_kept = lru_cache(KEPT_DOCUMENTS)(_checked)
