"""Operations that come over HTTP: read, looked at before they run, and run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from graphql import GraphQLError, OperationType, specified_rules
from starlette.requests import Request
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as StrawberryOperationType

from domain.errors import MethodNotAllowed
from graph.answers import Results
from graph.context import DeskContext
from graph.errors import GraphQLCode
from graph.persisted import PersistedDocuments
from graph.requests import Operation, read_operation
from graph.schema import DeskSchema

if TYPE_CHECKING:
    from strawberry.http.types import HTTPMethod


class Operations:
    """Those of one schema."""

    def __init__(self, schema: DeskSchema, persisted: PersistedDocuments, max_bytes: int) -> None:
        self._schema = schema
        self._persisted = persisted
        self._max_bytes = max_bytes

    async def read(self, request: Request, context: DeskContext) -> Operation:
        """Raises MethodNotAllowed, UnsupportedMediaType, PayloadTooLarge or BadUserInput."""
        operation = await read_operation(request, self._max_bytes)
        operation = self._persisted.resolve(operation, context.address)
        if request.method == "GET" and self.kind(operation) is OperationType.MUTATION:
            raise MethodNotAllowed("Mutations are sent with POST.")
        return operation

    def kind(self, operation: Operation) -> OperationType | None:
        """None when the document does not say."""
        return self._schema.documents.operation_type(operation.query, operation.name)

    def refusals(self, operation: Operation) -> Sequence[GraphQLError]:
        """Why it is not worth running, as far as its document tells."""
        if operation.refusal is not None:
            return [operation.refusal]
        documents = self._schema.documents
        if operation.name is not None and self.kind(operation) is None:
            node = documents.parse(operation.query)
            return [node if isinstance(node, GraphQLError) else _unnamed()]
        return documents.check(
            self._schema._schema, operation.query, operation.name, operation.variables or {}, tuple(specified_rules)
        )

    async def execute(self, operation: Operation, method: str, context: DeskContext) -> ExecutionResult:
        """Raises MethodNotAllowed."""
        if operation.refusal is not None:
            return PreExecutionError(None, [operation.refusal])
        try:
            return await self._schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
                allowed_operation_types=_allowed(method) - {StrawberryOperationType.SUBSCRIPTION},
            )
        except CannotGetOperationTypeError as error:
            return PreExecutionError(None, [GraphQLError(error.as_http_error_reason(), original_error=error)])
        except InvalidOperationTypeError as error:
            raise MethodNotAllowed(error.as_http_error_reason(cast("HTTPMethod", method))) from error

    async def stream(self, operation: Operation, method: str, context: DeskContext) -> Results:
        if operation.refusal is not None:
            return _only(PreExecutionError(None, [operation.refusal]))
        results = await self._schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.name,
            allowed_operation_types=_allowed(method),
        )
        return cast("Results", results)


def _allowed(method: str) -> set[StrawberryOperationType]:
    return StrawberryOperationType.from_http(cast("HTTPMethod", method))


async def _only(result: ExecutionResult) -> Results:
    yield result


def _unnamed() -> GraphQLError:
    code = {"code": GraphQLCode.OPERATION_RESOLUTION_FAILURE}
    return GraphQLError("The document holds no operation of that name.", extensions=code)
