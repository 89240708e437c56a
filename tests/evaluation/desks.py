"""Desks to measure, wired as the command wires them, over the tiny data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from evaluation.desk import Desk
from evaluation.plans import Ground, Plan, read_plan
from evaluation.suites import Suite
from evaluator import open_suite
from settings import HOUSE, Settings
from tests.evaluation.tiny import write_data, write_desk


def settings_in(folder: Path) -> Settings:
    """Of a laptop: nothing is configured."""
    return Settings(_env_file=None, data_dir=folder / "data", embeddings="off")


def plan_in(folder: Path, suite: str = "") -> Plan:
    """A public suite of the tiny data, or the tiny desk's own cases."""
    desk = folder / "desk"
    if not desk.exists():
        write_desk(desk)
        write_data(folder / "public")
    ground = Ground(folder / "public", desk / "agents.toml", HOUSE / "examples" / "evaluation" / "suite.toml")
    return read_plan(suite or str(desk / "cases.jsonl"), ground)


@asynccontextmanager
async def opened(folder: Path, suite: Suite) -> AsyncIterator[Desk]:
    async with open_suite(settings_in(folder), suite, folder / "index", lambda *_: None) as desk:
        yield desk
