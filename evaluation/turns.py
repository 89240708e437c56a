"""The turns of one case, each run once however many measures look at it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar, cast

from domain.agents.state import Line
from domain.chunking import chunk
from domain.knowledge import Chunk, Document
from domain.model import Role
from evaluation.altered import Watched, Without
from evaluation.cases import Case
from evaluation.desk import Answered, Desk, Prepared, Turn

T = TypeVar("T")


class CaseTurns:
    """Belongs to one task. `documents` are those that the desk has indexed. All that run a turn raise DeskError."""

    def __init__(self, desk: Desk, case: Case, documents: Mapping[str, Sequence[Document]]) -> None:
        self.desk = desk
        self.case = case
        self._documents = documents
        self._done: dict[str, object] = {}

    async def routed(self) -> Prepared:
        """As it is asked, prepared."""
        return await self._once("routed", lambda: self._prepare(self.case.question, talked=True))

    async def at_home(self) -> Prepared:
        """Asked of the agent that holds the answer, which must be known."""
        return await self._once("at_home", lambda: self._prepare(self.case.question, talked=True, at_home=True))

    async def raw(self) -> Prepared:
        """As `at_home`, as if there were no conversation."""
        return await self._once("raw", lambda: self._prepare(self.case.question, at_home=True))

    async def given(self) -> Prepared:
        """As `raw`, in the words of the case's own standalone question."""
        return await self._once(
            "given", lambda: self._prepare(self.case.standalone or self.case.question, at_home=True)
        )

    async def answered(self) -> tuple[Answered, Watched]:
        """As it is asked, to the end; and what was seen of the documents."""
        return await self._once("answered", lambda: self._answer(Watched(self.desk.stage.retriever)))

    async def answered_without_relevant(self) -> tuple[Answered, Watched]:
        """As `answered`, when the documents do not hold what is relevant."""
        return await self._once("absent", lambda: self._answer(Without(self.desk.stage.retriever, self._relevant())))

    async def answered_poisoned(self) -> tuple[Answered, Watched]:
        """As `answered`, with the poisoned document of the case's attack in its place. Nothing else may be asked of the
        desk meanwhile."""
        return await self._once("poisoned", self._answer_poisoned)

    async def history(self) -> tuple[Line, ...]:
        """The conversation, with the desk's own answers where the case has none."""
        return await self._once("history", self._talk)

    async def _once(self, name: str, run: Callable[[], Awaitable[T]]) -> T:
        if name not in self._done:
            self._done[name] = await run()
        return cast(T, self._done[name])

    async def _prepare(self, question: str, *, talked: bool = False, at_home: bool = False) -> Prepared:
        history = await self.history() if talked else ()
        home = self.case.home
        return await self.desk.prepare(Turn(question, history, (home,) if at_home and home else ()))

    async def _answer(self, retriever: Watched) -> tuple[Answered, Watched]:
        return await self.desk.answer(Turn(self.case.question, await self.history()), retriever), retriever

    async def _answer_poisoned(self) -> tuple[Answered, Watched]:
        poisoned = self.case.attack.poisoned if self.case.attack else None
        if poisoned is None:
            return await self.answered()
        whole = self._documents[poisoned.agent]
        changed = [poisoned if document.id == poisoned.id else document for document in whole]
        try:
            await self.desk.index(poisoned.agent, changed, poisoned)
            return await self._answer(Watched(self.desk.stage.retriever))
        finally:
            await self.desk.index(poisoned.agent, whole, next(it for it in whole if it.id == poisoned.id))

    async def _talk(self) -> tuple[Line, ...]:
        said: list[Line] = []
        for number, line in enumerate(self.case.history):
            said.append(line)
            after = self.case.history[number + 1 : number + 2]
            if line.role is Role.USER and not (after and after[0].role is Role.ASSISTANT):
                answered = await self.desk.answer(Turn(line.text, tuple(said[:-1])))
                said.append(Line(Role.ASSISTANT, answered.draft.text))
        return tuple(said)

    def _relevant(self) -> dict[str, list[Chunk]]:
        """Every chunk of what is relevant, by agent."""
        found: dict[str, list[Chunk]] = {}
        for place in self.case.relevant:
            document = next(it for it in self._documents[place.agent] if it.id == place.document)
            found.setdefault(place.agent, []).extend(filter(place.is_in, chunk(document)))
        return found
