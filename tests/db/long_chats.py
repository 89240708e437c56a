"""Long chats for tests: every turn goes through the real workflow, over the tables of a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import delete

from db.engine import Database
from db.tables import SummaryRow
from domain.agents.answering import DirectModel
from domain.agents.catalog import AgentCatalog
from domain.agents.patience import ORDINARY
from domain.agents.state import Draft, TurnContext
from domain.agents.summaries import Picker, Summaries
from domain.agents.workflow import build_workflow
from domain.knowledge import ANYBODY
from domain.model import ChatSession, Message, TurnStatus, User
from domain.ports import History
from domain.records import BegunTurn, TurnRequest
from domain.runner import Workflow
from providers.extractive import ExtractiveChatModel
from providers.model_errors import model_error
from tests.domain.agents.small_desks import Desk
from tests.domain.agents.test_answering import Written
from tests.stores import LEASE, Stores, outcome, progress

QUESTIONS = (
    "How often should I water tomatoes?",
    "When does the library open?",
    "I watered bed {n} today. How are tomatoes fed?",
    "Can I book a study room for {n} hours?",
    "We have {n} new plants in row {n}. How do I prune tomatoes?",
    "Thank you!",
    "My neighbour {n} asks when the library closes.",
)


@dataclass
class Counted(History):
    """Counts the messages that are read."""

    stores: Stores
    read: int = 0

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        found = await self.stores.messages.recent_messages(chat_id, before_id, limit)
        self.read += len(found)
        return found


@dataclass
class LongChat:
    stores: Stores
    user: User
    chat: ChatSession
    desk: Desk
    summaries: Summaries
    history: Counted = field(init=False)
    workflow: Workflow = field(init=False)
    said: int = 0

    def __post_init__(self) -> None:
        self.history = Counted(self.stores)
        self.workflow = self.answering_by(ExtractiveChatModel())

    def answering_by(self, model: ExtractiveChatModel | DirectModel) -> Workflow:
        catalog = AgentCatalog(tuple(self.desk.agents))
        return build_workflow(
            self.history, self.desk.search, catalog, model, "m", model_error, ORDINARY, summaries=self.summaries
        )

    async def ask(self, question: str, workflow: Workflow | None = None) -> Draft:
        """Stores what it begins and ends with, as a server does; notes are taken meanwhile."""
        return await self._answer(await self.stores.begin(self.chat, self.user, question), workflow)

    async def ask_again(self, message_id: int) -> Draft:
        return await self._answer(await self.stores.turns.begin_again(self.user.id, message_id, TurnRequest(LEASE)))

    async def _answer(self, begun: BegunTurn, workflow: Workflow | None = None) -> Draft:
        written, status = Written(), TurnStatus.FAILED
        context = TurnContext(begun.user_message, begun.answer, tuple(self.desk.agents), (), written, ANYBODY)
        try:
            draft = await (workflow or self.workflow)(context)
            status = TurnStatus.COMPLETED
            return draft
        finally:
            await self.stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, written.text), status))
            await self.summaries.settled()
            self.said += 1

    async def chatter(self, until: int) -> None:
        """Until so many messages were said in all."""
        while 2 * self.said < until:
            await self.ask(QUESTIONS[self.said % len(QUESTIONS)].format(n=self.said))


@asynccontextmanager
async def long_chat(stores: Stores, desk: Desk, name: str, picker: Picker | None = None) -> AsyncIterator[LongChat]:
    summaries = Summaries(stores.summaries, picker)
    user = await stores.user(name)
    yield LongChat(stores, user, await stores.chat(user), desk, summaries)
    await summaries.close()


async def forget(database: Database, chat_id: int) -> None:
    async with database.write() as session:
        await session.execute(delete(SummaryRow).where(SummaryRow.chat_id == chat_id))
