"""The `answerdesk` command: serve · ask · ingest · doctor · evaluate · migrate · export-schema.

Each of them imports what it runs itself: the libraries of all of them take seconds, and none needs them all.
"""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from db.revisions import NotMigratedError
from domain.agents.catalog import AgentCatalog
from domain.errors import DeskError
from logs import configure_logs
from settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from doctor import Finding

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Answers questions from your documents, with sources.",
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

PATIENCE = 30.0
"""Seconds for each service that the doctor asks, unless told."""
SEED = 20_261_122
"""Of the evaluation's resamples, unless told."""
WORKER_SILENCE_SECONDS = 60
"""After so long without a sign of life a supervisor kills a worker, and its turns with it. A machine that is only busy
should not come near that."""


def main() -> None:
    """Runs the command; what a person can mend is told in a sentence, without a traceback."""
    try:
        app()
    except ValidationError as problem:
        for error in problem.errors():
            where = ".".join(str(part) for part in error["loc"]).upper()
            err.print(f"[red]Settings:[/] {escape(where + ': ' if where else '')}{escape(error['msg'])}")
        sys.exit(2)
    except (DeskError, NotMigratedError, OSError, ValueError) as problem:
        err.print(f"[red]Error:[/] {escape(str(problem))}")
        sys.exit(1)


@app.command()
def serve() -> None:
    """Migrate the database, index the knowledge bases, then serve on HOST and PORT (127.0.0.1:8001)."""
    import uvicorn

    from db.migrations import upgrade
    from frames import Frames

    settings = Settings()
    configure_logs(settings.log_level, settings.log_format)
    upgrade(settings.database)
    asyncio.run(_ingest(settings))
    _banner(settings, asyncio.run(_choices(settings)))
    uvicorn.run(
        "server:app",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        ws=Frames,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_worker_healthcheck=WORKER_SILENCE_SECONDS,
    )


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    user: Annotated[
        str,
        typer.Option(
            "--as", help="Who asks: of the agents and documents that this user may see. Else of what is for everybody."
        ),
    ] = "",
) -> None:
    """Answer one question in the terminal, with its sources."""
    from terminal import answer

    settings = Settings()
    configure_logs("ERROR", settings.log_format)
    asyncio.run(answer(settings, question, user, out, err))


@app.command()
def ingest() -> None:
    """Bring the search index up to date with the knowledge bases of agents.toml."""
    settings = Settings()
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(_ingest(settings))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for programs.")] = False,
    patience: Annotated[float, typer.Option(min=0.1, help="Seconds that each service may take.")] = PATIENCE,
) -> None:
    """Ask every configured service once, and say what to mend. Exit code 1 when something is wrong."""
    from doctor import Doctor

    settings = Settings()
    configure_logs("CRITICAL", settings.log_format)
    findings = asyncio.run(Doctor(settings, patience).examine())
    if as_json:
        print(json.dumps([finding.told() for finding in findings], indent=2))
    else:
        out.print(_examined(findings))
    if any(finding.trouble for finding in findings):
        sys.exit(1)


@app.command()
def evaluate(
    suite: Annotated[str, typer.Argument(help="mtrag, clinc150, canard, safety, sample or all; or a file or folder.")],
    data: Annotated[Path | None, typer.Option(help="The folder of the public data sets (EVALUATION_DATA).")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Take every nth row only, for a quick look.")] = None,
    only: Annotated[str, typer.Option(help="Areas to measure, such as routing,retrieval.")] = "",
    index: Annotated[Path | None, typer.Option(help="Keep the public sets' indexes here, not in DATA_DIR.")] = None,
    result: Annotated[Path | None, typer.Option("--json", help="Write the whole result to this file.")] = None,
    earlier: Annotated[Path | None, typer.Option("--compare", help="Compare with the result in this file.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the cases in which something was wrong.")] = False,
    seed: Annotated[int, typer.Option(help="Of the resampling behind --compare.")] = SEED,
) -> None:
    """Measure the desk as it is configured on questions with known answers (docs/evaluation.md). Exit code 1 when a
    threshold is missed or not everything could be measured, 2 when something cannot be read, 130 when interrupted."""
    from evaluation.cases import EvaluationError
    from evaluator import Evaluator, Options

    settings = Settings()
    configure_logs("CRITICAL", settings.log_format)
    areas = tuple(filter(None, map(str.strip, only.split(","))))
    options = Options(suite, seed, data, every, areas, index, result, earlier)
    with _progress("[bold]{task.fields[what]}[/] {task.description:<12}", "") as progress:
        tasks: dict[tuple[str, str], TaskID] = {}

        def follow(name: str, what: str, done: int, total: int) -> None:
            if (name, what) not in tasks:
                tasks[name, what] = progress.add_task(name, total=total, what=what)
            progress.update(tasks[name, what], completed=done)

        try:
            report = asyncio.run(Evaluator(settings, options, follow).run())
        except EvaluationError as problem:
            err.print(f"[red]Error:[/] {escape(str(problem))}")
            sys.exit(2)
    out.print(report.table(), soft_wrap=False)
    for line in report.lines(show):
        out.print(escape(line), soft_wrap=True)
    sys.exit(report.exit_code)


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date (the same as `alembic upgrade head`)."""
    from db.migrations import upgrade

    upgrade(Settings().database)
    out.print("The database is up to date.")


@app.command(name="export-schema")
def export_schema(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; without, it is printed.")] = None,
) -> None:
    """Write the GraphQL schema in SDL."""
    from graph.schema import schema_text

    if file is None:
        out.print(schema_text(), markup=False, soft_wrap=True, end="")
    else:
        file.write_text(schema_text(), "utf-8")


async def _ingest(settings: Settings) -> None:
    """Indexes what changed, with a progress bar."""
    from search import ingest, open_retriever

    catalog = AgentCatalog.load(settings.agents_file)
    async with open_retriever(settings, catalog) as retriever:
        with _progress() as progress:
            tasks: dict[str, TaskID] = {}

            def show(agent: str, done: int, total: int) -> None:
                if agent not in tasks:
                    tasks[agent] = progress.add_task(catalog.get(agent).title, total=total)
                progress.update(tasks[agent], completed=done)

            await ingest(catalog, retriever, show)


async def _choices(settings: Settings) -> dict[str, str]:
    """What the banner shows."""
    from server import open_desk

    async with open_desk(settings) as desk:
        return desk.choices


@contextmanager
def _progress(told: str = "indexing {task.description:<18}", of: str = "documents") -> "Iterator[Progress]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(told), BarColumn(), MofNCompleteColumn(), TextColumn(of))
    with Progress(*columns, console=err) as progress:
        yield progress


def _banner(settings: Settings, choices: dict[str, str]) -> None:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    base = f"http://{host}:{settings.port}"
    table = Table.grid(padding=(0, 2))
    for part, choice in choices.items():
        table.add_row(part.replace("_", " "), escape(choice))
    table.add_row()
    table.add_row("REST, to try out", f"{base}/api/v1/docs")
    graphql = "GraphQL, to try out" if settings.serves_playground else "GraphQL"
    table.add_row(graphql, f"{base}/graphql  (ws and SSE too)")
    table.add_row("Ready?", f"{base}/readyz")
    err.print(Panel(table, title="Answerdesk", expand=False))


def _examined(findings: "Sequence[Finding]") -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("service", "what", "where", "reachable", "authorised", "ms", "what to mend"):
        table.add_column(name, justify="right" if name == "ms" else "left", overflow="fold")
    words = {True: "[green]yes[/]", False: "[red]no[/]", None: "–"}
    for found in findings:
        took = "–" if found.milliseconds is None else f"{found.milliseconds:.0f}"
        state = f"[red]{found.trouble}:[/] {escape(found.remedy)}" if found.trouble else "[green]nothing[/]"
        places = (escape(found.what), escape(found.where))
        table.add_row(found.service, *places, words[found.reachable], words[found.authorised], took, state)
    return table


if __name__ == "__main__":
    main()
