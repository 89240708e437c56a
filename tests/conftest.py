"""For all tests: how what is logged in this process looks, how many processes run them, and in which order."""

import os

import pytest
import structlog

LONGEST = (
    "test_soak.py",
    "test_local_model.py",
    "test_public_sample.py",
    "test_drain.py",
    "test_cli.py",
    "test_workers.py",
    "test_doctor.py",
)
"""Files that take a minute or more. They come first, or the last of them runs alone at the end."""


AT_MOST = 8
"""Processes, unless there are more cores."""


def pytest_xdist_auto_num_workers() -> int | None:
    """Two a core: tests wait for servers and databases as long as they work. pytest-xdist's own variable goes before."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    cores = os.cpu_count() or 1
    return max(cores, min(2 * cores, AT_MOST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


# The prettier tracebacks, which are structlog's own default, take seconds where the machine is busy.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
