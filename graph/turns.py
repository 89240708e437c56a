"""Turns: how an answer came about, and stopping one."""

import strawberry

from domain import model
from domain.model import OnBusy, TurnStatus
from graph.agents import Route
from graph.context import Info
from graph.ids import MESSAGE, TURN, encode_id, key_of
from graph.nodes import Node, given

strawberry.enum(
    TurnStatus,
    description="RUNNING at first, or QUEUED while it waits for the turn before it; at last one of the others, for good.",
)
strawberry.enum(
    OnBusy,
    description="What becomes of a question while its session answers another: it is refused with CHAT_BUSY, it waits "
    "its turn, or it stops what runs and waits there and takes over.",
)


@strawberry.type(description="What a turn cost, in the model's tokens.")
class Usage:
    prompt_tokens: int
    completion_tokens: int


@strawberry.type(description="Why a turn did not answer.")
class TurnError:
    code: str = strawberry.field(description="The code that an error of this kind has everywhere in this API.")
    message: str = strawberry.field(description="For a person.")
    retryable: bool = strawberry.field(description="Whether asking again may help.")
    retry_after: int | None = strawberry.field(
        description="Seconds to wait before asking again, where the service that failed says so."
    )

    @classmethod
    def of(cls, error: model.TurnError) -> "TurnError":
        return cls(code=error.code, message=error.message, retryable=error.retryable, retry_after=error.retry_after)


@strawberry.type(description="One message of a person's, through to its final answer.")
class Turn(Node):
    status: TurnStatus
    standalone_question: str | None = strawberry.field(
        description="The question that the knowledge bases were searched with: "
        "what the conversation implies is written out."
    )
    routes: list[Route] = strawberry.field(description="The agents that were asked, and why.")
    usage: Usage | None
    error: TurnError | None
    groundedness: float | None = strawberry.field(
        description="The part of what the answer states that its sources support, from 0 to 1. Null for an answer that "
        "states nothing, was not completed, or was not checked."
    )

    @classmethod
    def of(cls, turn: model.Turn) -> "Turn":
        usage = turn.usage
        return cls(
            id=strawberry.ID(encode_id(TURN, turn.id)),
            status=turn.status,
            standalone_question=turn.standalone_question,
            routes=[Route.of(route) for route in turn.routes],
            usage=Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
            if usage
            else None,
            error=TurnError.of(turn.error) if turn.error else None,
            groundedness=turn.groundedness,
        )


@strawberry.type
class TurnMutation:
    @strawberry.mutation(
        description="Ends generation. The text that was written so far is kept, with the status STOPPED. "
        "A turn that has ended already stays as it is."
    )
    async def stop_turn(self, info: Info, turn_id: strawberry.ID) -> Turn:
        viewer = await info.context.viewer()
        return Turn.of(await info.context.services.turns.stop(viewer, key_of(TURN, "turnId", turn_id)))

    @strawberry.mutation(
        description="Answers a question anew, and returns the turn that does: `resumeTurn` follows it. `messageId` is "
        "an answer, or the question. The answers before stay, in `Message.versions`. Safe to retry with a "
        "`clientMessageId`."
    )
    async def regenerate(
        self,
        info: Info,
        message_id: strawberry.ID,
        client_message_id: str | None = strawberry.UNSET,
        on_busy: OnBusy = OnBusy.REJECT,
    ) -> Turn:
        viewer = await info.context.viewer()
        key = key_of(MESSAGE, "messageId", message_id)
        return Turn.of(await info.context.services.turns.regenerate(viewer, key, given(client_message_id), on_busy))
