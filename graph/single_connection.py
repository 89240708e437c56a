"""graphql-sse's single connection mode: one stream carries the results of many requests.

After https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md: PUT reserves a stream and answers its token, GET
with the token opens it, operations with it are answered 202 and run on the stream, DELETE stops one. All of them are the
viewer's: a token is of no use without the user's access token. docs/PROTOCOL.md states the rules.
"""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from domain.errors import BadUserInput, MethodNotAllowed, NotAcceptable, NotFound
from domain.shielding import to_its_end
from graph.context import DeskContext
from graph.negotiation import EVENT_STREAM, GRAPHQL_JSON, JSON, TEXT, choose
from graph.operations import Operations
from graph.requests import parameters_of
from graph.reservations import Reservation, Reservations, Taken
from graph.responses import refusal
from graph.sse import COMMENT
from live_body import LiveBody

TOKEN_HEADER = "x-graphql-event-stream-token"  # noqa: S105 – its name
METHODS = ("PUT", "DELETE")
"""That this mode adds to GraphQL's."""
OPERATION = ("query", "documentId", "extensions")
"""Parameters of which an operation over GET has one; a request that opens a stream has none."""
ID_LENGTH = 128
OFF = "This server reserves no streams: use graphql-sse's distinct connections mode."


class SingleConnection:
    """`reservations` are None where the mode is off."""

    def __init__(self, operations: Operations, reservations: Reservations | None, heartbeat: float) -> None:
        self._operations = operations
        self._reservations = reservations
        self._heartbeat = heartbeat

    def concerns(self, request: Request) -> bool:
        """Whether a request is of this mode. Raises BadUserInput."""
        return request.method in METHODS or bool(_token_of(request))

    async def respond(self, request: Request, accept: str, context: DeskContext) -> Response:
        """Raises DeskError."""
        if self._reservations is None:
            raise MethodNotAllowed(OFF) if request.method in METHODS else NotFound(OFF)
        viewer = await context.viewer()
        if request.method == "PUT":
            if choose(accept, (TEXT,)) is None:
                raise NotAcceptable(f"A reservation is answered as {TEXT}.")
            made = self._reservations.reserve(context.services.streams, viewer, context.request_id)
            return PlainTextResponse(made.token, HTTPStatus.CREATED, {"Cache-Control": "no-store"})
        reservation = self._reservations.find(_token_of(request), viewer)
        if request.method == "DELETE":
            await reservation.stop(_checked(parameters_of(request).get("operationId")))
            return Response(status_code=HTTPStatus.OK)
        try:
            if request.method == "GET" and parameters_of(request).keys().isdisjoint(OPERATION):
                if choose(accept, (EVENT_STREAM,)) is None:
                    raise NotAcceptable(f"A stream is answered as {EVENT_STREAM}.")
                reservation.open(context.services.streams, viewer)
                return _ReservedStream(reservation, self._heartbeat)
            return await self._run(reservation, request, accept, context)
        except Taken as taken:
            return refusal([taken], HTTPStatus.CONFLICT, context.request_id, accept)

    async def _run(self, reservation: Reservation, request: Request, accept: str, context: DeskContext) -> Response:
        """202, when the operation is fit to run and its results will come on the stream."""
        operation = await self._operations.read(request, context)
        operation_id = _checked((operation.extensions or {}).get("operationId"))
        if choose(accept, (JSON, GRAPHQL_JSON)) is None:
            raise NotAcceptable(f"Operations on a reserved stream are answered as {JSON} or {GRAPHQL_JSON}.")
        errors = self._operations.refusals(operation)
        if errors:
            return refusal(errors, HTTPStatus.BAD_REQUEST, context.request_id, accept)
        reservation.run(operation_id, await self._operations.stream(operation, request.method, context), context)
        return Response(status_code=HTTPStatus.ACCEPTED)


class _ReservedStream(LiveBody):
    def __init__(self, reservation: Reservation, heartbeat: float) -> None:
        super().__init__(reservation.chunks(), EVENT_STREAM, COMMENT, heartbeat)
        self._reservation = reservation

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            await to_its_end(self._reservation.close())


def _token_of(request: Request) -> str:
    """From the header, else from the address; "" without one."""
    return request.headers.get(TOKEN_HEADER) or parameters_of(request).get("token", "")


def _checked(operation_id: object) -> str:
    """Raises BadUserInput."""
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= ID_LENGTH:
        raise BadUserInput(fields={"operationId": f"must be a text of 1 to {ID_LENGTH} characters"})
    return operation_id
