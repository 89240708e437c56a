"""The events of a turn, and the subscriptions that carry them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import strawberry

from domain import events
from domain.errors import BadUserInput, ServiceUnavailable
from domain.model import OnBusy, Turn, TurnStatus
from graph.agents import Route
from graph.context import DeskContext, Info
from graph.deltas import DeltaRun
from graph.ids import CHAT_SESSION, TURN, encode_id, key_of
from graph.messages import Message, Source, sources_of
from graph.nodes import given
from graph.turns import TurnError


@strawberry.interface(
    description="One event of a turn. `seq` counts 1, 2, 3 … without a gap: what to give as `after` to go on from here."
)
class TurnEvent:
    seq: int
    turn_id: strawberry.ID


@strawberry.type(description="The first event: the message is stored.")
class TurnStarted(TurnEvent):
    user_message: Message


@strawberry.type(description="Which agents are asked, with which question.")
class RouteChosen(TurnEvent):
    routes: list[Route]
    standalone_question: str


@strawberry.type(
    description="All sources cited so far: each event replaces the one before. "
    "It comes before the text that holds its newest source's first marker. Spans are known only at the end."
)
class SourcesFound(TurnEvent):
    sources: list[Source]


@strawberry.type(description="The next piece of the answer's text.")
class AnswerDelta(TurnEvent):
    text: str


@strawberry.type(description="The last event of a turn that answered. `message` holds the whole stored text.")
class TurnCompleted(TurnEvent):
    message: Message


@strawberry.type(
    description="The last event of a turn that did not answer: STOPPED, FAILED or INTERRUPTED. "
    "`message` keeps what was written."
)
class TurnEnded(TurnEvent):
    status: TurnStatus
    message: Message
    error: TurnError | None


EVENT_TYPES = (TurnStarted, RouteChosen, SourcesFound, AnswerDelta, TurnCompleted, TurnEnded)


def shown(event: events.TurnEvent) -> TurnEvent:
    """The domain's event as its GraphQL type."""
    seq, turn_id = event.seq, strawberry.ID(encode_id(TURN, event.turn_id))
    match event:
        case events.AnswerDelta(text=text):
            return AnswerDelta(seq=seq, turn_id=turn_id, text=text)
        case events.TurnStarted(user_message=message):
            return TurnStarted(seq=seq, turn_id=turn_id, user_message=Message.of(message))
        case events.RouteChosen(routes=routes, standalone_question=question):
            return RouteChosen(
                seq=seq, turn_id=turn_id, routes=[Route.of(route) for route in routes], standalone_question=question
            )
        case events.SourcesFound(sources=sources):
            return SourcesFound(seq=seq, turn_id=turn_id, sources=sources_of(sources))
        case events.TurnCompleted(message=message):
            return TurnCompleted(seq=seq, turn_id=turn_id, message=Message.of(message, complete=True))
        case events.TurnEnded(status=status, message=message, error=error):
            return TurnEnded(
                seq=seq,
                turn_id=turn_id,
                status=status,
                message=Message.of(message, complete=True),
                error=TurnError.of(error) if error else None,
            )


@strawberry.input
class SendMessageInput:
    session_id: strawberry.ID
    text: str
    client_message_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="Any id of the client's own. With it, sending again is safe."
    )
    after: int | None = strawberry.field(
        default=0, description="On sending again: the `seq` of the last event that arrived."
    )
    agents: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Names of agents to ask; without them, the router chooses."
    )
    on_busy: OnBusy = OnBusy.REJECT


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="Sends a message and streams the turn that answers it. It can be repeated safely: with the same "
        "`clientMessageId`, session and text it attaches to the turn that was begun then and replays the events "
        "after `after`, so a client that reconnects neither asks twice nor misses a word."
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> AsyncGenerator[TurnEvent, None]:
        context = info.context
        viewer = await context.viewer()
        key = given(input.client_message_id)
        # Without a key this begins a turn, of which a client that reconnects has seen nothing.
        after = _cursor(given(input.after), context.last_event_id if key is not None else None)
        with context.stream(viewer):
            turn = await context.services.turns.send(
                viewer,
                key_of(CHAT_SESSION, "sessionId", input.session_id),
                input.text,
                key,
                given(input.agents),
                input.on_busy,
            )
            async with aclosing(_follow(context, turn, after)) as turn_events:
                async for event in turn_events:
                    yield event

    @strawberry.subscription(
        description="Attaches to a turn, running or ended: replays its events with a `seq` above `after`, "
        "then follows it live."
    )
    async def resume_turn(self, info: Info, turn_id: strawberry.ID, after: int = 0) -> AsyncGenerator[TurnEvent, None]:
        context = info.context
        viewer = await context.viewer()
        after = _cursor(after, context.last_event_id)
        with context.stream(viewer):
            async with aclosing(_follow(context, key_of(TURN, "turnId", turn_id), after)) as turn_events:
                async for event in turn_events:
                    yield event


async def _follow(context: DeskContext, turn: Turn | int, after: int) -> AsyncGenerator[TurnEvent, None]:
    """A turn's events as they come, or for its deltas `DeltaRun`s; `turn` as in `Turns.follow`. Leaving it stops nothing
    but the following."""
    viewer = await context.viewer()
    waiting: list[events.TurnEvent] = []
    try:
        async with aclosing(context.services.turns.follow(viewer, turn, after, context.tenure)) as batches:
            async for batch in batches:
                waiting.extend(batch)
                while waiting:
                    if context.plan is not None and type(waiting[0]) is events.AnswerDelta:
                        run = DeltaRun(context, context.plan, waiting, batches)
                        yield cast("TurnEvent", run)
                        if run.failure is not None:
                            raise run.failure
                    if waiting:
                        event = waiting.pop(0)
                        context.cursor = event.seq
                        yield shown(event)
    except ServiceUnavailable as closing:
        raise ServiceUnavailable(closing.message, after=context.cursor or after) from None


def _cursor(after: int | None, last_event_id: int | None) -> int:
    """Where to go on from: the connection knows it better than the operation, which a client repeats as it was.
    Checked before anything is sent: `follow` would say so only once the message is on its way."""
    if after is not None and after < 0:
        raise BadUserInput(fields={"after": "must not be negative"})
    return (after or 0) if last_event_id is None else last_event_id
