"""The protocols of /graphql: JSON over POST and GET, graphql-sse, and graphql-transport-ws on the same address.

HTTP is answered here, after GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/): a client that
accepts `application/graphql-response+json` gets 400 for a request that could not run, one that only knows
`application/json` gets 200 with `errors`. What is not a GraphQL request at all is a 4xx for both. A stream is sent only
where one was asked for. WebSockets are Strawberry's view, with `graph.sockets`.
"""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as StrawberryOperationType

from domain.errors import BadUserInput, DeskError, Internal, MethodNotAllowed, NotAcceptable, UnsupportedMediaType
from domain.services import Services
from graph.answers import answer_of, encode, is_request_error
from graph.context import DeskContext, new_request_id
from graph.errors import STATUS, tell, tell_desk_error
from graph.limits import Limits
from graph.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, choose
from graph.requests import IDENTITY, Operation, accept_of, decode_json, last_event_id, read_operation
from graph.schema import create_schema
from graph.sockets import Socket, SocketHandler, bearer
from graph.sse import EventStream, Results
from settings import Settings

if TYPE_CHECKING:
    from strawberry.http.types import HTTPMethod

PATH = "/graphql"
MAX_HEARTBEAT = 15.0
"""Seconds of silence that proxies commonly bear."""
INIT_TIMEOUT = timedelta(seconds=10)
MAX_OPERATIONS = 100
"""That one socket may run at a time."""


def create_graphql(services: Callable[[], Services], settings: Settings) -> Router:
    """The face's routes. `services` is asked at each request, since they exist only while the server runs."""
    view = GraphQLView(services, settings)
    return Router([Route(PATH, view, methods=None), WebSocketRoute(PATH, view)])


class GraphQLView(GraphQL[DeskContext, None]):
    """An ASGI application for HTTP and WebSocket scopes."""

    graphql_transport_ws_handler_class = SocketHandler
    websocket_adapter_class = Socket

    def __init__(self, services: Callable[[], Services], settings: Settings) -> None:
        schema = create_schema(Limits.of(settings))
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_TIMEOUT,
            max_subscriptions_per_connection=MAX_OPERATIONS,
            allowed_origins=settings.cors_origins,
        )
        self.max_request_bytes = settings.max_request_bytes
        self._services = services
        self._documents = schema.documents
        self._heartbeat = min(settings.sse_heartbeat_seconds, MAX_HEARTBEAT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    # ------------------------------------------------------------ what Strawberry's WebSocket side asks for

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> DeskContext:
        return self._context(request, new_request_id())

    def decode_json(self, data: str | bytes) -> object:
        try:
            return decode_json(data)
        except BadUserInput as error:
            raise JSONDecodeError(error.message, "", 0) from error

    def encode_json(self, data: object) -> str:
        return encode(data).decode()  # bytes would become a binary frame

    # ------------------------------------------------------------ HTTP

    async def _respond(self, request: Request) -> Response:
        request_id, accept = new_request_id(), accept_of(request)
        try:
            context = self._context(request, request_id)
            operation = await read_operation(request, self.max_request_bytes)
            kind = self._documents.operation_type(operation.query, operation.name)
            if kind is OperationType.MUTATION and request.method == "GET":
                raise MethodNotAllowed("Mutations are sent with POST.")
            form = _form(accept, kind)
            if form == EVENT_STREAM:
                context.last_event_id = last_event_id(request)
                return EventStream(await self._stream(operation, request, context), context, self._heartbeat)
            return _json(await self._execute(operation, request, context), context, form)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        except DeskError as error:
            return _problem(error, request_id, accept)
        except Exception as error:
            tell(GraphQLError("failed", original_error=error), request_id)
            return _problem(Internal(), request_id, accept)

    def _context(self, request: Request | WebSocket, request_id: str) -> DeskContext:
        header = request.headers.get("authorization")
        token = None if header is None else bearer(header)
        return DeskContext(self._services(), token, request.client.host if request.client else "", request_id)

    async def _execute(self, operation: Operation, request: Request, context: DeskContext) -> ExecutionResult:
        try:
            return await self.schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
                allowed_operation_types=StrawberryOperationType.from_http(cast("HTTPMethod", request.method))
                - {StrawberryOperationType.SUBSCRIPTION},
            )
        except CannotGetOperationTypeError as error:
            return PreExecutionError(None, [GraphQLError(error.as_http_error_reason(), original_error=error)])
        except InvalidOperationTypeError as error:
            raise MethodNotAllowed(error.as_http_error_reason(request.method)) from error

    async def _stream(self, operation: Operation, request: Request, context: DeskContext) -> Results:
        results = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.name,
            allowed_operation_types=StrawberryOperationType.from_http(cast("HTTPMethod", request.method)),
        )
        return cast("Results", results)


def _form(accept: str, kind: OperationType | None) -> str:
    """The media type to answer in. Clients such as urql name `text/event-stream` with every request, so only what
    needs a stream gets one, and whoever takes nothing else. Raises NotAcceptable."""
    if kind is OperationType.SUBSCRIPTION:
        form = choose(accept, (EVENT_STREAM,))
        why = f"A subscription is answered as {EVENT_STREAM}, or over a WebSocket."
    else:
        form = choose(accept, (JSON, GRAPHQL_JSON)) or choose(accept, (EVENT_STREAM,))
        why = f"Answers are {JSON}, {GRAPHQL_JSON} or {EVENT_STREAM}."
    if form is None:
        raise NotAcceptable(why)
    return form


def _json(result: ExecutionResult, context: DeskContext, form: str) -> Response:
    refused = is_request_error(result) and form == GRAPHQL_JSON
    return _response(answer_of(result, context), HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK, form)


def _problem(error: DeskError, request_id: str, accept: str) -> Response:
    """A request that could not be taken, told in the form of a GraphQL answer."""
    form = choose(accept, (JSON, GRAPHQL_JSON)) or JSON
    response = _response({"errors": [tell_desk_error(error, request_id)]}, STATUS[error.code], form)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = "GET, POST"
    elif isinstance(error, UnsupportedMediaType):
        response.headers["Accept-Post"] = JSON
        response.headers["Accept-Encoding"] = IDENTITY
    return response


def _response(answer: dict[str, Any], status: int, form: str) -> Response:
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    return Response(encode(answer), status, headers, media_type=f"{form}; charset=utf-8")
