"""One question, answered in the terminal: what `answerdesk ask` does."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from domain.agents.catalog import AgentCatalog
from domain.agents.state import Draft, TurnContext
from domain.inputs import Inputs
from domain.knowledge import Reader
from domain.model import Message, Role, Route, Source
from domain.ports import History
from models import answer_workflow, choose_models
from search import ingest, open_retriever
from settings import Settings


async def answer(settings: Settings, question: str, user: str, out: Console, err: Console) -> None:
    """The answer and its sources go to `out`, who answers and why to `err`. `user` is who asks, "" for nobody. Raises
    InvalidInput for a question that does not fit, and what the workflow raises."""
    inputs = Inputs()
    inputs.message("question", question)
    inputs.check()
    reader = Reader(user)
    catalog = AgentCatalog.load(settings.agents_file)
    async with open_retriever(settings, catalog) as retriever:
        if not settings.azure_search_endpoint:
            await ingest(catalog, retriever)
        models = choose_models(settings, catalog)
        workflow = answer_workflow(settings, _NoHistory(), retriever, catalog, models)
        agents = catalog.visible_to(reader.username)
        now = datetime.now(UTC)
        asked = Message(1, 1, 1, Role.USER, question, now)
        answered = Message(2, 1, 1, Role.ASSISTANT, "", now)
        draft = await workflow(TurnContext(asked, answered, agents, (), _Terminal(catalog, err), reader))
        await models.close()
    print()
    _list_sources(draft, out)


class _NoHistory(History):
    """A question in the terminal has no conversation before it."""

    async def recent_messages(self, chat_id: int, before_id: int, limit: int) -> list[Message]:
        return []


class _Terminal:
    """The recorder: prints instead of keeping."""

    def __init__(self, catalog: AgentCatalog, err: Console) -> None:
        self._catalog = catalog
        self._err = err

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        for route in routes:
            title = escape(self._catalog.get(route.agent).title)
            self._err.print(f"[dim]{title} ({route.confidence:.0%}): {escape(route.reason)}[/]")

    def sources_found(self, sources: Sequence[Source]) -> None:
        """They are listed below the answer."""

    def delta(self, text: str) -> None:
        print(text, end="", flush=True)


def _list_sources(draft: Draft, out: Console) -> None:
    if draft.sources:
        out.print()
    for source in draft.sources:
        out.print(
            f"[bold]\\[{source.ordinal}][/] {escape(source.title)}  [dim]{escape(source.url or source.document_id)}[/]"
        )
