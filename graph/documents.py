"""Documents: parsed, measured and validated once for all the requests that repeat them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    ExecutableDefinitionsRule,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    TypeInfo,
    ValidationContext,
    get_operation_ast,
    validate,
)

from graph.errors import GraphQLCode
from graph.limits import Limits, refusals_of_document, too_long
from graph.outlines import Outline, outline_of
from graph.rules import impatient
from graph.syntax import parse

KEPT_LENGTH = 16_384
"""Characters of the longest document that is remembered, so that 512 of them stay small."""
KEPT_DOCUMENTS = 512
PASSING_DOCUMENTS = 4
"""Longer ones that are remembered, only so that one request does not read its own twice."""
MAX_ERRORS = 10
"""That are looked for in one document."""
MAX_ERRORS_OF_LONG = 3
"""In one too long to be remembered: each may print all of a value, and so most of it."""


class Document:
    """One text. What is found out about it stays with it, since to look up a parsed document would mean to hash all of
    its nodes."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.node: DocumentNode | GraphQLError
        """Or why it is none."""
        try:
            self.node = parse(text, limits.tokens)
        except GraphQLError as error:
            self.node = error.with_traceback(None)
        self._hide_suggestions = not limits.introspection
        self._max_errors = MAX_ERRORS if len(text) <= KEPT_LENGTH else MAX_ERRORS_OF_LONG
        self._outline: Outline | None = None
        self._errors: list[GraphQLError] | None = None

    def outline(self, schema: GraphQLSchema, node: DocumentNode) -> Outline:
        if self._outline is None:
            self._outline = outline_of(schema, node)
        return self._outline

    def errors(self, schema: GraphQLSchema, node: DocumentNode, rules: tuple[Any, ...]) -> list[GraphQLError]:
        """The validation's."""
        if self._errors is None:
            self._errors = _not_executable(schema, node) or validate(
                schema, node, impatient(rules), self._max_errors, self._hide_suggestions
            )
            for error in self._errors:
                if error.message == "Validation aborted.":  # by MergeableFields
                    error.message = "Too many fields of the same names would have to be compared. Validation aborted."
                error.extensions = {**(error.extensions or {}), "code": GraphQLCode.VALIDATION_FAILED}
        return self._errors


class Documents:
    """Those of one schema, under its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kept = lru_cache(KEPT_DOCUMENTS)(Document)
        self._passing = lru_cache(PASSING_DOCUMENTS)(Document)

    def parse(self, text: str) -> DocumentNode | GraphQLError:
        """The error is returned: one that is kept should not gather the frames of those who catch it."""
        return too_long(text) or self._read(text).node

    def operation_type(self, text: str, name: str | None) -> OperationType | None:
        """Of the operation that would run; None when the document does not say."""
        node = self.parse(text)
        operation = None if isinstance(node, GraphQLError) else get_operation_ast(node, name)
        return operation.operation if operation is not None else None

    def check(
        self,
        schema: GraphQLSchema,
        text: str,
        name: str | None,
        variables: Mapping[str, Any],
        rules: tuple[Any, ...],
    ) -> list[GraphQLError]:
        """Why an operation of a document may not run. `name` is None or one that the document has."""
        node = self.parse(text)
        if isinstance(node, GraphQLError):
            return [node]
        document = self._read(text)
        outline = document.outline(schema, node)
        if not outline.operations:
            return refusals_of_document(outline) or document.errors(schema, node, rules)
        if name is None and len(outline.operations) > 1:
            return [_unresolved()]
        refusals = self.limits.refusals(outline, outline.index(name), variables)
        return refusals or document.errors(schema, node, rules)

    def _read(self, text: str) -> Document:
        return (self._kept if len(text) <= KEPT_LENGTH else self._passing)(text, self.limits)


def _not_executable(schema: GraphQLSchema, node: DocumentNode) -> list[GraphQLError]:
    """What is a schema's and not a request's. All that could be said beside it is beside the point."""
    found = [part for part in node.definitions if not isinstance(part, ExecutableDefinitionNode)]
    errors: list[GraphQLError] = []
    context = ValidationContext(schema, node, TypeInfo(schema), errors.append)
    ExecutableDefinitionsRule(context).enter_document(DocumentNode(definitions=tuple(found[:MAX_ERRORS])))
    return errors


def _unresolved() -> GraphQLError:
    """Strawberry runs the first of several operations when none is named; GraphQL § 6.1 asks to refuse."""
    code = {"code": GraphQLCode.OPERATION_RESOLUTION_FAILURE}
    return GraphQLError("The document holds several operations: name one in `operationName`.", extensions=code)
