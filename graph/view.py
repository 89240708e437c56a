"""The protocols of /graphql: JSON over POST and GET, graphql-sse, and graphql-transport-ws on the same address.

HTTP is answered here, after GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/): a client that
accepts `application/graphql-response+json` gets 400 for a request that could not run, one that only knows
`application/json` gets 200 with `errors`. What is not a GraphQL request at all is a 4xx for both. A stream is sent only
where one was asked for. WebSockets are Strawberry's view, with `graph.sockets`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from json import JSONDecodeError

from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from domain.errors import BadUserInput, DeskError, Internal, NotAcceptable, RateLimited
from domain.services import Services
from graph.answers import encode
from graph.context import DeskContext, new_request_id
from graph.errors import tell
from graph.limits import Limits
from graph.multipart import MultipartStream
from graph.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, MULTIPART, choose
from graph.operations import Operations
from graph.persisted import PersistedDocuments
from graph.playground import Playground
from graph.requests import accept_of, decode_json, last_event_id
from graph.reservations import Reservations
from graph.responses import problem, result_response
from graph.schema import create_schema
from graph.single_connection import METHODS, SingleConnection
from graph.sockets import Socket, SocketHandler, bearer
from graph.sse import EventStream
from graph.streams import ResultStream
from live_body import MAX_HEARTBEAT
from settings import Settings

PATH = "/graphql"
STREAMS: Mapping[str, type[ResultStream]] = {EVENT_STREAM: EventStream, MULTIPART: MultipartStream}


def create_graphql(services: Callable[[], Services], settings: Settings) -> Router:
    """The face's routes. `services` is asked at each request, since they exist only while the server runs."""
    view = GraphQLView(services, settings)
    return Router([Route(PATH, view, methods=None), WebSocketRoute(PATH, view), *view.playground.routes])


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
            connection_init_wait_timeout=timedelta(seconds=settings.socket_init_seconds),
            max_subscriptions_per_connection=settings.max_operations_per_socket,
            allowed_origins=settings.cors_origins,
        )
        self.max_request_bytes = settings.max_request_bytes
        self._services = services
        self.playground = Playground(settings)
        self.persisted = PersistedDocuments(schema._schema, schema.documents, settings)
        self._heartbeat = min(settings.sse_heartbeat_seconds, MAX_HEARTBEAT)
        self._operations = Operations(schema, self.persisted, settings.max_request_bytes)
        reservations = Reservations(settings.sse_reservation_seconds) if settings.reserves_streams else None
        self._single_connection = SingleConnection(self._operations, reservations, self._heartbeat)
        self._methods = ", ".join(("GET", "POST", *(METHODS if reservations else ())))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Whoever has too many open already gets a 429 for the handshake."""
        socket = WebSocket(scope, receive, send)
        with suppress(WebSocketDisconnect):  # before it was let in
            try:
                with self._services().streams.places.socket(_address(socket)):
                    await super().__call__(scope, receive, send)
            except RateLimited as error:
                await socket.send_denial_response(problem(error, new_request_id(), JSON, self._methods))

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
            if self.playground.is_asked(request, accept):
                return await self.playground.page()
            context = self._context(request, request_id)
            if self._single_connection.concerns(request):
                return await self._single_connection.respond(request, accept, context)
            operation = await self._operations.read(request, context)
            form = _form(accept, self._operations.kind(operation))
            if form in STREAMS:
                await context.require_stream()
                if form == EVENT_STREAM:
                    context.last_event_id = last_event_id(request)
                results = await self._operations.stream(operation, request.method, context)
                return await STREAMS[form](results, context, self._heartbeat).begun()
            return result_response(await self._operations.execute(operation, request.method, context), context, form)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        except DeskError as error:
            return problem(error, request_id, accept, self._methods)
        except Exception as error:
            tell(GraphQLError("failed", original_error=error), request_id)
            return problem(Internal(), request_id, accept, self._methods)

    def _context(self, request: Request | WebSocket, request_id: str) -> DeskContext:
        header = request.headers.get("authorization")
        token = None if header is None else bearer(header)
        return DeskContext(self._services(), token, _address(request), request_id)


def _address(connection: HTTPConnection) -> str:
    """The client's. Behind a proxy it is the server's business to know it (uvicorn's proxy headers)."""
    return connection.client.host if connection.client else ""


def _form(accept: str, kind: OperationType | None) -> str:
    """The media type to answer in. Clients such as urql name `text/event-stream` with every request, so only what
    needs a stream gets one, and whoever takes nothing else. Raises NotAcceptable."""
    if kind is OperationType.SUBSCRIPTION:
        form = choose(accept, tuple(STREAMS))
        why = f"A subscription is answered as {EVENT_STREAM} or {MULTIPART}, or over a WebSocket."
    else:
        form = choose(accept, (JSON, GRAPHQL_JSON)) or choose(accept, tuple(STREAMS))
        why = f"Answers are {JSON}, {GRAPHQL_JSON}, {EVENT_STREAM} or {MULTIPART}."
    if form is None:
        raise NotAcceptable(why)
    return form
