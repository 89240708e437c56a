"""GraphQL over WebSocket: the `graphql-transport-ws` protocol, on Strawberry's handler.

After https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. This module adds: who is signed in on the
socket and until when, strict message shapes, errors in this API's form, and a failed document ends its own operation
only. Close codes beyond the protocol's: 1009 a message too large, 1012 the server stops, 1013 nobody can be
authenticated just now.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol, cast

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    PingMessage,
    SubscribeMessage,
)

from domain.errors import BadUserInput, DeskError, Forbidden, RateLimited, ServiceUnavailable, Unauthenticated
from graph.answers import Answer, Results, answers, encode
from graph.context import DeskContext
from graph.errors import tell
from graph.persisted import PersistedDocuments
from graph.requests import decode_json, operation_of

FORBIDDEN, TOO_LARGE, RESTART, TRY_AGAIN_LATER = 4403, 1009, 1012, 1013
MAX_MESSAGE_BYTES = 65_536
"""Of one message, whether it comes in one frame or in many."""
REASON_LENGTH = 120
"""Bytes of a close frame's reason, which RFC 6455 bounds at 123."""
FAREWELL = 0.25
"""Seconds in which the operations of a socket that is ended may say so, before it closes."""
TOKEN_NAMES = ("authorization", "Authorization", "token", "accessToken", "access_token")


class _Asked(Protocol):
    """What is needed of the view here."""

    persisted: PersistedDocuments


class Socket(ASGIWebSocketAdapter):
    """Text frames of JSON, in and out."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Raises NonTextMessageReceived or NonJsonMessageReceived, which the handler answers with 4400."""
        with suppress(WebSocketDisconnect):
            while self.ws.application_state is not WebSocketState.DISCONNECTED:
                try:
                    text = await self.ws.receive_text()
                except KeyError as error:
                    raise NonTextMessageReceived from error
                if len(text.encode(errors="surrogatepass")) > MAX_MESSAGE_BYTES:
                    await self.close(TOO_LARGE, "Message too large")
                    return
                try:
                    yield decode_json(text)
                except BadUserInput as error:
                    raise NonJsonMessageReceived from error

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self.send(encode(message).decode())

    async def send(self, text: str) -> None:
        """Raises WebSocketDisconnected."""
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(text)
        except WebSocketDisconnect as gone:
            raise WebSocketDisconnected from gone

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is not WebSocketState.DISCONNECTED:
            with suppress(WebSocketDisconnect):  # it has gone meanwhile
                await super().close(code, reason.encode()[:REASON_LENGTH].decode(errors="ignore"))


class SocketHandler(BaseGraphQLTransportWSHandler[DeskContext, None]):
    """One socket. Without a token it is anonymous: its operations that need a viewer answer UNAUTHENTICATED."""

    _farewell: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        with self.context.services.streams.attend(self._ended):
            try:
                await super().handle()
            finally:
                if self.context.tenure is not None:
                    self.context.tenure.close()

    async def shutdown(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
            with suppress(asyncio.CancelledError):
                await self._farewell
        await super().shutdown()

    async def handle_message(self, message: Message) -> None:
        why = _misshapen(message)
        if why is not None:
            await self.handle_invalid_message(why)
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        if self.connection_init_timeout_task is not None and not self.connection_timed_out:
            self.connection_init_timeout_task.cancel()  # it is here; finding out who sent it may take its time
        payload = message.get("payload") or {}
        token = token_in(payload)
        if not self.connection_init_received and (token is not None or self.context.token is not None):
            self.context.token = self.context.token if token is None else token
            if not await self._allows(self._sign_in()):
                return
        await super().handle_connection_init({"type": "connection_init", "payload": payload})
        self.connection_init_timeout_task = None  # has nothing to wait for any more

    async def handle_ping(self, message: PingMessage) -> None:
        payload = message.get("payload")
        token = token_in(payload or {})
        if token is not None and not await self._allows(self.context.renew(token)):
            return
        await self.send_message({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        limit = self.max_subscriptions_per_connection
        if self.connection_acknowledged and message["id"] not in self.operations:
            if limit is not None and len(self.operations) >= limit:
                await self._refuse(message["id"], RateLimited(1))
                return
            try:
                asked = operation_of(message["payload"])
            except BadUserInput as error:
                await self._refuse(message["id"], error)
                return
            asked = cast("_Asked", self.view).persisted.resolve(asked, self.context.address)
            if asked.refusal is not None:
                await self._refuse(message["id"], asked.refusal)
                return
            payload = cast("Any", {**message["payload"], "query": asked.query})
            message = {"id": message["id"], "type": "subscribe", "payload": payload}
        await super().handle_subscribe(message)

    async def run_operation(self, operation: Operation[DeskContext, None]) -> None:
        context = self.context.for_operation()
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.operation_name,
            )
            async with aclosing(answers(cast("Results", results), context)) as sent:
                async for together in sent:
                    for answer in together:
                        await self._tell(operation, answer)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except WebSocketDisconnected:
            return
        except Exception as error:
            told = tell(GraphQLError("failed", original_error=error), context.request_id)
            with suppress(WebSocketDisconnected):
                await operation.send_operation_message(_message(operation.id, "error", [told]))

    async def cleanup_operation(self, operation_id: str) -> None:
        """Nothing of it is sent any more, whatever it is about to send."""
        if operation_id in self.operations:
            self.operations[operation_id].completed = True
        await super().cleanup_operation(operation_id)

    async def _tell(self, operation: Operation[DeskContext, None], answer: Answer) -> None:
        if answer.errors is not None:
            await operation.send_operation_message(_message(operation.id, "error", answer.errors))
        elif not operation.completed:
            text = b'{"id":%b,"type":"next","payload":%b}' % (encode(operation.id), answer.body)
            await cast("Socket", self.websocket).send(text.decode())

    async def _sign_in(self) -> None:
        viewer = await self.context.viewer()
        self.context.tenure = self.context.services.streams.tenure(viewer)
        self.context.tenure.watch(self._ended)

    async def _allows(self, proof: Awaitable[None]) -> bool:
        """Whether the client has shown who it is. It is closed when not."""
        try:
            await proof
        except (Unauthenticated, Forbidden):
            await self.websocket.close(FORBIDDEN, "Forbidden")
        except DeskError as error:
            await self.websocket.close(TRY_AGAIN_LATER, error.code)
        else:
            return True
        return False

    async def _refuse(self, operation_id: str, error: DeskError | GraphQLError) -> None:
        refusal = error if isinstance(error, GraphQLError) else GraphQLError(error.message, original_error=error)
        told = tell(refusal, self.context.request_id)
        await self.send_message(_message(operation_id, "error", [told]))

    def _ended(self, error: DeskError) -> None:
        """The login's end, or the server's."""
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._close_after_farewell(error))

    async def _close_after_farewell(self, error: DeskError) -> None:
        """Followers of turns were told at the same time, and end with an error of their own first."""
        tasks = [operation.task for operation in self.operations.values() if operation.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL)
        with suppress(WebSocketDisconnected):
            if not isinstance(error, ServiceUnavailable):
                await self.websocket.close(FORBIDDEN, "Forbidden")
                return
            for operation_id in tuple(self.operations):
                await self.cleanup_operation(operation_id)
                await self._refuse(operation_id, error)
            await self.websocket.close(RESTART, "Service Restart")


def token_in(payload: Mapping[str, Any]) -> str | None:
    """The access token of a connection_init payload, under any of the names that clients use, with or without
    `Bearer`; "" for a value that cannot be one."""
    for name in TOKEN_NAMES:
        value = payload.get(name)
        if value is not None:
            return bearer(value, bare=True) if isinstance(value, str) else ""
    return None


def bearer(value: str, bare: bool = False) -> str:
    """The token of `Bearer <token>` (RFC 6750 § 2.1), or "" when it is something else. `bare` takes a token alone."""
    scheme, _, rest = value.strip().partition(" ")
    if bare and not rest:
        token = scheme
    elif scheme.lower() == "bearer":
        token = rest.strip()
    else:
        token = ""
    return token if token.isascii() else ""


def _message(operation_id: str, kind: str, payload: object) -> Message:
    return cast("Message", {"id": operation_id, "type": kind, "payload": payload})


def _misshapen(message: object) -> str | None:
    """Why this is no message of the protocol; None when it is one."""
    if not isinstance(message, dict):
        return "A message must be an object"
    kind, payload = message.get("type"), message.get("payload")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(payload, dict | None):
            return f"The payload of {kind} must be an object"
        return None if kind != "ping" or _can_be_told(payload) else "The payload of ping cannot be sent back"
    if kind not in ("subscribe", "complete"):
        return "Unknown message type"
    if not isinstance(message.get("id"), str) or not message["id"]:
        return f"The id of {kind} must be a non-empty string"
    if not _can_be_told(message["id"]):
        return f"The id of {kind} must be text"
    if kind == "subscribe":
        if not isinstance(payload, dict):
            return "The payload of subscribe must be an object"
        for name, kinds in (("documentId", str), ("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(payload.get(name), kinds | None):
                return f"The {name} of subscribe must be {'a string' if kinds is str else 'an object'} or null"
        if not isinstance(payload.get("query"), str) and not (
            payload.get("query") is None and _names_document(payload)
        ):
            return "The query of subscribe must be a string"
    return None


def _can_be_told(value: object) -> bool:
    """Half a character, or deep nesting, can come as JSON and cannot be sent as such."""
    try:
        encode(value)
    except TypeError:
        return False
    return True


def _names_document(payload: Mapping[str, Any]) -> bool:
    """Whether something stands for the text of the operation."""
    return payload.get("documentId") is not None or "persistedQuery" in (payload.get("extensions") or {})
