"""A plan: the suites that one run measures, and what must be reached. Found by a built-in name, or by a path.

A folder with a `suite.toml`, or else with `.jsonl` files; a `.toml` file; a `.jsonl` file. See docs/evaluation.md.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.agents.catalog import AgentCatalog, CatalogError
from domain.documents import KnowledgeError, read_documents
from evaluation.areas import AREAS
from evaluation.case_files import KnownDocuments, read_cases
from evaluation.cases import Case, EvaluationError, every
from evaluation.public.attacks import read_attacks
from evaluation.public.canard import read_canard
from evaluation.public.clinc150 import read_clinc150
from evaluation.public.mtrag import read_mtrag
from evaluation.suites import Suite, views_by_tag

PUBLIC: Mapping[str, Callable[[Path, int], Suite]] = {
    "mtrag": read_mtrag,
    "clinc150": read_clinc150,
    "canard": read_canard,
    "safety": read_attacks,
}
SAMPLE, ALL = "sample", "all"
BUILT_IN = (*PUBLIC, SAMPLE, ALL)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where things are: the public data, the agents of the desk, and the sample suite."""

    data: Path
    agents: Path
    sample: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """`thresholds` are by `view.area.figure`: at least this, or at most where less is better."""

    name: str
    suites: Sequence[Suite]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    every: int = 1
    only: frozenset[str] = frozenset(AREAS)


class _File(BaseModel):
    """A suite's TOML."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = Field(None, pattern=r"^[\w][\w -]*$")
    cases: list[str] = Field(default_factory=list)
    agents: str | None = None
    public: list[str] = Field(default_factory=list)
    every: int = Field(1, ge=1)
    only: list[str] = Field(default_factory=list)
    thresholds: dict[str, Any] = Field(default_factory=dict)


def read_plan(suite: str, ground: Ground, nth: int | None = None, only: Sequence[str] = ()) -> Plan:
    """`nth` and `only` go before what the suite says of them. All rows are read and checked here. Raises
    EvaluationError."""
    areas = _areas(only) or frozenset(AREAS)
    if suite in BUILT_IN:
        nth = nth or 1
        names = [*PUBLIC, SAMPLE] if suite == ALL else [suite]
        public = [PUBLIC[name](ground.data, nth) for name in names if name in PUBLIC]
        sample = [_read_file(ground.sample, ground, nth, ()) for name in names if name == SAMPLE]
        suites = [*public, *(one for plan in sample for one in plan.suites)]
        return Plan(suite, suites, sample[0].thresholds if sample else {}, nth, areas)
    path = Path(suite)
    if path.is_dir() and (path / "suite.toml").is_file():
        path /= "suite.toml"
    if path.suffix == ".toml" and path.is_file():
        return _read_file(path, ground, nth, only)
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise EvaluationError(
            f"“{suite}” is neither a suite that comes with the desk ({', '.join(BUILT_IN)}) nor a file or folder of cases"
        )
    made = _own(path.stem or path.resolve().name, files, ground.agents, nth or 1)
    return Plan(made.name, [made], every=nth or 1, only=areas)


def _read_file(path: Path, ground: Ground, nth: int | None, only: Sequence[str]) -> Plan:
    try:
        written = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=False)
        raise EvaluationError(
            "\n".join(f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in told)
        ) from error
    nth = nth or written.every
    unknown = [name for name in written.public if name not in PUBLIC]
    if unknown:
        raise EvaluationError(f"{path}: public: there is no “{unknown[0]}”; there are {', '.join(PUBLIC)}")
    if not (written.cases or written.public):
        raise EvaluationError(f"{path}: name files of `cases`, or `public` sets")
    suites = [PUBLIC[name](ground.data, nth) for name in written.public]
    name = written.name or (path.parent.resolve().name if path.name == "suite.toml" else path.stem)
    if written.cases:
        agents = path.parent / written.agents if written.agents else ground.agents
        suites.append(_own(name, [path.parent / file for file in written.cases], agents, nth))
    areas = _areas(only or written.only, f"{path}: " if not only else "") or frozenset(AREAS)
    return Plan(name, suites, _thresholds(path, written.thresholds, suites), nth, areas)


def _areas(names: Sequence[str], where: str = "") -> frozenset[str]:
    unknown = [name for name in names if name not in AREAS]
    if unknown:
        raise EvaluationError(f"{where}only: there is no “{unknown[0]}”; there are {', '.join(AREAS)}")
    return frozenset(names)


def _own(name: str, files: Sequence[Path], agents: Path, nth: int) -> Suite:
    try:
        catalog = AgentCatalog.load(agents)
        documents = {agent.name: read_documents(agent.name, agent.knowledge_base) for agent in catalog.all}
    except (CatalogError, KnowledgeError) as error:
        raise EvaluationError(str(error)) from error
    known = KnownDocuments.of(documents)
    read = [case for file in files for case in read_cases(file, known)]
    _no_id_twice(read)
    return Suite(name, catalog, documents, every(read, nth), views_by_tag(name, read), own=True)


def _no_id_twice(cases: Sequence[Case]) -> None:
    """Each file has been looked at by itself."""
    ids = [case.id for case in cases]
    twice = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise EvaluationError(f"two files have a case “{twice}”: give them ids of their own")


def _thresholds(path: Path, written: Mapping[str, Any], suites: Sequence[Suite]) -> dict[str, float]:
    """By their whole names: `area.figure` is of all cases of the only, or last, suite."""
    views = {view.name: view for suite in suites for view in suite.views}
    overall = suites[-1].views[0].name
    found: dict[str, float] = {}
    for parts, least in _flat(written):
        name = ".".join(parts)
        view, area, figure = (
            (".".join(parts[:-2]) or overall, parts[-2], parts[-1]) if len(parts) > 1 else (name, "", "")
        )
        if isinstance(least, bool) or not isinstance(least, int | float):
            raise EvaluationError(f"{path}: thresholds: {name}: must be a number")
        if view not in views:
            raise EvaluationError(f"{path}: thresholds: “{name}” names no view; there are {', '.join(views)}")
        if figure not in {it.name for it in AREAS[area].figures} if area in AREAS else True:
            known = ", ".join(f"{it.name}.{one.name}" for it in AREAS.values() for one in it.figures)
            raise EvaluationError(f"{path}: thresholds: there is no figure “{area}.{figure}”; there are {known}")
        if not views[view].tells(area, figure):
            raise EvaluationError(f"{path}: thresholds: {view} does not tell {area}.{figure}")
        found[f"{view}.{area}.{figure}"] = float(least)
    return found


def _flat(written: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """TOML reads a name with points as tables in one another."""
    for name, value in written.items():
        parts = (*before, *name.split("."))
        if isinstance(value, dict):
            yield from _flat(value, parts)
        else:
            yield parts, value
