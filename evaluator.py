"""The `evaluate` command: settings become the desks that are measured, wired as the server wires them; a result is kept."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import RenderableType

from domain.agents.catalog import MOST_TOKENS, AgentCatalog
from domain.agents.judging import Judge, judge_by
from domain.agents.summaries import Summaries
from domain.chunking import chunk
from domain.errors import SearchUnavailable
from domain.knowledge import ANYBODY, Document
from domain.ports import Retriever
from evaluation.cases import EvaluationError
from evaluation.comparison import Change, changed, compare
from evaluation.desk import DEPTH, Desk, Stage
from evaluation.measuring import GaveUp, Measured, Measuring, areas_of
from evaluation.plans import Ground, Plan, read_plan
from evaluation.results import Result, SuiteResult, figures_of, missed, read_result, risks_of, written
from evaluation.suites import Suite
from evaluation.tables import faults, table
from models import Model, Models, answer_workflow, choose_models
from providers.embeddings import installed_embedder
from providers.extractive import NO_ANSWER, ExtractiveChatModel
from providers.listener import Listener
from search import open_retriever
from settings import HOUSE, Settings

SETTLED_SECONDS, LOOK_AGAIN_SECONDS = 60.0, 0.5
"""How long a search engine may take to find what was just indexed."""

FAILURES_SHOWN = 10

Progress = Callable[[str, str, int, int], None]
"""Called with a suite's name, what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was told; `seed` is of the resamples. Without `index`, knowledge bases of public sets are kept in the
    data folder."""

    suite: str
    seed: int
    data: Path | None = None
    every: int | None = None
    only: tuple[str, ...] = ()
    index: Path | None = None
    json: Path | None = None
    compare: Path | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A result, beside the earlier one that it was to be compared with: `changes` of figures, and `moved`, the cases that
    were right and are wrong now, and the other way round, by suite and area."""

    result: Result
    interrupted: bool = False
    failure: str | None = None
    changes: Mapping[str, Change] | None = None
    moved: Mapping[str, tuple[list[str], list[str]]] | None = None

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else 0 if self.result.passed else 1

    def table(self) -> RenderableType:
        return table(self.result, self.changes)

    def lines(self, show: bool) -> Iterator[str]:
        """What is to be said below the table; with `show`, all that was wrong too."""
        if show:
            yield from faults(self.result)
        for name, (worse, better) in (self.moved or {}).items():
            yield f"{name}: {len(better)} cases are right now that were wrong, {len(worse)} the other way round"
            yield from (f"  worse: {case}" for case in worse if show)
            yield from (f"  better: {case}" for case in better if show)
        failures = [failure for suite in self.result.suites for failure in suite.failures]
        for failure in failures[:FAILURES_SHOWN]:
            yield f"not measured: {failure.id}: {failure.error}"
        if len(failures) > FAILURES_SHOWN:
            yield f"… and {len(failures) - FAILURES_SHOWN} more cases that could not be measured"
        if self.failure is not None:
            yield f"Given up, since nothing could be measured any more: {self.failure}"
        if self.interrupted:
            yield "Interrupted: these figures are of what had been measured by then."
        yield from (f"MISSED: {told}" for told in self.result.missed)


class Evaluator:
    """Raises EvaluationError from its maker, before anything has been asked."""

    def __init__(self, settings: Settings, options: Options, progress: Progress) -> None:
        data = options.data or settings.evaluation_data or HOUSE.parent / "shared" / "data"
        ground = Ground(data, settings.agents_file, HOUSE / "examples" / "evaluation" / "suite.toml")
        self._settings = settings
        self._options = options
        self._progress = progress
        self._plan: Plan = read_plan(options.suite, ground, options.every, options.only)
        self._suites = [
            suite for suite in self._plan.suites if any(areas_of(it, self._plan.only) for it in suite.cases)
        ]
        if not self._suites:
            areas = " or ".join(sorted(self._plan.only))
            raise EvaluationError(f"no case of “{options.suite}” says enough to measure {areas}")
        self._earlier = read_result(options.compare) if options.compare else None
        self._embeddings = _uses_embeddings(settings)
        if options.json is not None:
            try:
                options.json.open("ab").close()
            except OSError as error:
                raise EvaluationError(f"{options.json} cannot be written: {error.strerror}") from error
        self._results: list[SuiteResult] = []

    async def run(self) -> Report:
        """Whatever ends it, what has been measured by then is in the report and in the file."""
        begun, started = datetime.now(UTC), time.perf_counter()
        interrupted, failure = False, None
        try:
            for suite in self._suites:
                await self._measure(suite)
        except asyncio.CancelledError:
            interrupted = True
        except GaveUp as error:
            failure = str(error)
        except BaseException:
            self._keep(self._result(begun, time.perf_counter() - started, complete=False))
            raise
        complete = not interrupted and failure is None
        result = self._result(begun, time.perf_counter() - started, complete)
        self._keep(result)
        if self._earlier is None:
            return Report(result, interrupted, failure)
        changes = compare(self._earlier, result, self._suites, self._options.seed)
        return Report(result, interrupted, failure, changes, changed(self._earlier, result))

    def _keep(self, result: Result) -> None:
        if self._options.json is not None:
            self._options.json.write_bytes(written(result))

    def _result(self, begun: datetime, seconds: float, complete: bool) -> Result:
        figures = [shown for suite in self._results for shown in suite.figures]
        options = {"every": self._plan.every, "only": sorted(self._plan.only), "seed": self._options.seed}
        unreached = missed(figures, self._plan.thresholds, self._plan.only) if complete else []
        return Result(self._plan.name, begun, seconds, complete, options, self._results, unreached)

    async def _measure(self, suite: Suite) -> None:
        index = self._options.index or self._settings.data_dir / "evaluation"
        async with open_suite(self._settings, suite, index, self._progress) as desk:
            measuring = Measuring(suite, desk, self._plan.only, lambda *n: self._progress(suite.name, "measuring", *n))
            try:
                await measuring.run(1 if suite.alters else _at_once(self._settings))
            finally:
                self._results.append(self._suite_result(suite, desk, measuring.measured))

    def _suite_result(self, suite: Suite, desk: Desk, measured: Measured) -> SuiteResult:
        figures = figures_of(suite, measured.outcomes, self._embeddings, self._plan.thresholds)
        risks = risks_of(suite, measured.outcomes)
        return SuiteResult(suite.name, desk.choices, measured.outcomes, measured.failures, figures, risks)


@asynccontextmanager
async def open_suite(settings: Settings, suite: Suite, index: Path, progress: Progress) -> AsyncIterator[Desk]:
    """The suite's desk, with its knowledge bases indexed. Those of public sets have a folder below `index`, or a prefix
    on Azure AI Search, of their own; those that a suite alters are copied for it."""
    async with AsyncExitStack() as stack:
        if not suite.own:
            shared = _apart(settings, index / suite.knowledge, suite.knowledge)
            if suite.alters and not settings.azure_search_endpoint:
                async with open_retriever(shared, suite.catalog) as retriever:
                    await _index(suite, retriever, False, progress)
                copy = Path(stack.enter_context(TemporaryDirectory()))
                _copy_indexes(shared.data_dir / "index", copy / "index")
                shared = _apart(settings, copy, suite.knowledge)
            settings = _apart(settings, shared.data_dir, "altered") if suite.alters else shared
        retriever = await stack.enter_async_context(open_retriever(settings, suite.catalog))
        if not (suite.own and settings.azure_search_endpoint):
            await _index(suite, retriever, settings.azure_search_endpoint is not None, progress)
        models = choose_models(settings, suite.catalog)
        stack.push_async_callback(models.close)
        yield _desk(settings, suite, retriever, models)


def _apart(settings: Settings, folder: Path, name: str) -> Settings:
    prefix = f"{settings.azure_search_index_prefix}-evaluation-{name}"
    return settings.model_copy(update={"data_dir": folder, "azure_search_index_prefix": prefix})


def _copy_indexes(source: Path, target: Path) -> None:
    """Whole, even if another process writes them just now."""
    target.mkdir()
    for path in source.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(target / path.name)) as other:
            one.backup(other)


def _desk(settings: Settings, suite: Suite, retriever: Retriever, models: Models) -> Desk:
    stage = Stage(retriever)
    summaries = Summaries(stage)
    silent = replace(models, answers=Model(Listener(keep=stage.keep), "listener", lambda failure: None), of_agents={})
    quotes = isinstance(models.answers.chat, ExtractiveChatModel)

    async def index(agent: str, documents: Sequence[Document], changed: Document) -> None:
        await retriever.index(agent, documents)
        if settings.azure_search_endpoint:
            await _found(retriever, agent, changed)

    return Desk(
        choices={
            "model": models.answers.state,
            "decisions": "embedded" if models.decides is None else models.decides.name,
            "search": retriever.name,
            **({"reranking": models.reranks.name} if models.reranks else {}),
            **({"judge": models.decides.name} if models.decides and settings.evaluation_judge == "model" else {}),
        },
        catalog=suite.catalog,
        visible=suite.catalog.all if suite.routes else (),
        stage=stage,
        answers=answer_workflow(settings, stage, stage, suite.catalog, models, summaries),
        prepares=answer_workflow(settings, stage, stage, _deep(suite.catalog), silent, summaries),
        index=index,
        phrases=(NO_ANSWER,) if quotes else None,
        judge=_judge(settings, models),
    )


def _judge(settings: Settings, models: Models) -> Judge | None:
    """Raises EvaluationError."""
    if settings.evaluation_judge == "words":
        return None
    if models.decider is None:
        raise EvaluationError("EVALUATION_JUDGE=model asks the model that decides: configure one, and DECISIONS")
    return judge_by(models.decider)


def _deep(catalog: AgentCatalog) -> AgentCatalog:
    """With as many passages for a need as are judged."""
    return AgentCatalog(tuple(replace(agent, passages=DEPTH, passage_tokens=MOST_TOKENS) for agent in catalog.all))


async def _index(suite: Suite, retriever: Retriever, waits: bool, progress: Progress) -> None:
    """Only what changed since it was indexed last is read again. A search service is waited for, if it `waits`."""
    whole = sum(map(len, suite.documents.values()))
    before = 0
    for agent, documents in suite.documents.items():
        show = partial(_show, progress, suite.name, before, whole)
        report = await retriever.index(agent, documents, show)
        before += len(documents)
        if waits and documents and report.added + report.changed:
            await _found(retriever, agent, documents[-1])


def _show(progress: Progress, suite: str, before: int, whole: int, done: int) -> None:
    progress(suite, "indexing", before + done, whole)


async def _found(retriever: Retriever, agent: str, document: Document) -> None:
    """Waits until a document is found as it is now: a search service shows writes a little later."""
    until = time.monotonic() + SETTLED_SECONDS
    wanted = next(iter(chunk(document)), None)
    if wanted is None:
        return
    question = f"{wanted.title} {wanted.text[:300]}"
    while wanted.text not in {passage.chunk.text for passage in await retriever.search(agent, question, 50, ANYBODY)}:
        if time.monotonic() > until:
            raise SearchUnavailable(f"The search still does not find what was indexed for {agent}.")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _at_once(settings: Settings) -> int:
    """Several cases only where there is something to wait for: otherwise they would but slow each other down."""
    remote = settings.azure_openai_deployment or settings.openai_model or settings.azure_search_endpoint
    return settings.evaluation_concurrency if remote else 1


def _uses_embeddings(settings: Settings) -> bool:
    if settings.azure_search_endpoint:
        return settings.uses_vectors
    return settings.embeddings == "auto" and installed_embedder() is not None
