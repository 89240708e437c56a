"""Recalls the conversation, the last messages of the chat as they are and notes of all before, and what is asked in
effect at its end."""

from collections.abc import Sequence

from langgraph.runtime import Runtime

from domain.agents.clarification import settle
from domain.agents.state import Conversation, TurnContext, TurnState
from domain.agents.summaries import BEHIND, NO_SUMMARY, READ, WINDOW, Summaries, Summary, lines_of
from domain.model import Message
from domain.ports import History


class Memory:
    """Node `recall`. Without `summaries` there are notes of what was read alone."""

    def __init__(self, history: History, summaries: Summaries | None) -> None:
        self._history = history
        self._summaries = summaries

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context = runtime.context
        question, read = context.question, context.before
        if read is None:
            read = await self._history.recent_messages(question.chat_id, question.id, READ)
        summary = NO_SUMMARY
        if self._summaries is not None and len(read) > WINDOW:
            summary = await self._summaries.read(question.chat_id)
            if len(summary.rest_of(read[:-WINDOW])) >= BEHIND:
                self._summaries.fell_behind(question.chat_id, read[-WINDOW].id)
        return settle(recalled(read, summary), context)


def recalled(messages: Sequence[Message], summary: Summary = NO_SUMMARY) -> Conversation:
    """What is remembered of these, after what the summary tells."""
    beyond = summary.rest_of(messages[:-WINDOW])
    return Conversation(lines_of(messages[-WINDOW:]), summary.notes.after(lines_of(beyond)))
