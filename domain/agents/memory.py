"""Recalls the conversation: the last messages of the chat, from the messages table alone."""

import re
from collections.abc import Sequence

from langgraph.runtime import Runtime

from domain.agents.state import Conversation, Line, TurnContext, TurnState
from domain.model import Message
from domain.ports import History

WINDOW = 20
"""Messages recalled: a turn's cost does not grow with its chat."""

_MARKERS = re.compile(r"\s?\[\d{1,3}\]")


class Memory:
    """Node `recall`."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        question = runtime.context.question
        recent = await self._history.recent_messages(question.chat_id, question.id, WINDOW)
        return {"conversation": recalled(recent)}


def recalled(messages: Sequence[Message]) -> Conversation:
    """What is remembered of these: no markers of sources, and nothing of an answer that said nothing."""
    return Conversation(tuple(Line(m.role, _MARKERS.sub("", m.text)) for m in messages if m.text))
