"""A turn as the workflow gets it, with nothing of a server around it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from domain.agents.catalog import Agent
from domain.agents.state import Recorder, TurnContext
from domain.knowledge import ANYBODY
from domain.model import Message, Role


def asking(text: str, agents: Sequence[Agent], recorder: Recorder, chosen: Sequence[str] = ()) -> TurnContext:
    now = datetime.now(UTC)
    question, answer = Message(100, 1, 1, Role.USER, text, now), Message(101, 1, 1, Role.ASSISTANT, "", now)
    return TurnContext(question, answer, tuple(agents), tuple(chosen), recorder, ANYBODY)
