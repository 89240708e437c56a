"""Node with the packages of tests/clients, for the tests that drive a server with the clients from npm."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).resolve().parent / "clients"
WITHIN = 120.0
"""Seconds for one script, on a busy machine."""


def need_node() -> None:
    """Skips the test where Node or the packages are missing; fails it where every backend is required."""
    if not (shutil.which("node") and (CLIENTS / "node_modules" / ".package-lock.json").is_file()):
        reason = "Node and `npm ci --prefix tests/clients` are needed"
        pytest.fail(reason) if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1" else pytest.skip(reason)


def run_node(script: str, *arguments: str) -> str:
    """What a script of tests/clients printed. Fails with its complaint."""
    command = ["node", script, *arguments]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def report_of(script: str, *arguments: str) -> Any:
    """The JSON that a script of tests/clients printed last."""
    return json.loads(run_node(script, *arguments).splitlines()[-1])
