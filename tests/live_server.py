"""The real server as a process of its own, on a free port of the loopback, with the embedded defaults.

    with live_server({"RATE_LIMIT_SEND": "3/minute"}) as url:
        httpx.get(f"{url}/readyz")

    processes: list[Running] = []
    with live_server(processes=processes):
        processes[0].send_signal(signal.SIGTERM)

Settings of the developer's environment and `.env` do not reach it. What it logs is shown when it does not start, and
when it logged a traceback that nobody expected.
"""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import httpx
from pydantic import AliasChoices

from settings import Settings
from soak.ports import free_port
from tests.forking import Forked, run

HOUSE = Path(__file__).resolve().parent.parent
Running = subprocess.Popen[bytes] | Forked
READY_WITHIN = 120.0
"""Seconds, on a busy machine, for migrating, indexing the sample knowledge bases and starting."""
POLL_EVERY = 0.05
STOP_WITHIN = 20.0
DEFAULTS = {
    "EMBEDDINGS": "off",
    "SHUTDOWN_SECONDS": "10",
    "RATE_LIMIT_LOGIN": "100000/minute",
    "RATE_LIMIT_REGISTER": "100000/minute",
    "RATE_LIMIT_SEND": "100000/minute",
}


OWN_DATA = {"DATABASE_URL", "DATA_DIR", "AGENTS_FILE"}
"""With one of them set, a server's data are its own."""


@contextmanager
def live_server(
    env: Mapping[str, str] | None = None,
    *,
    tracebacks: bool = False,
    by_command: bool = False,
    forked: bool = True,
    processes: list[Running] | None = None,
    log: Path | None = None,
) -> Iterator[str]:
    """The base URL of a server that is ready. `tracebacks` says that its log may hold some; `by_command` starts it by
    `answerdesk serve`, with its workers; without `forked` it has memory of its own from the start. Servers that are given one DATA_DIR share what is in it. The process is added
    to `processes`, for who wants to end it otherwise. What it logs goes to the file `log`."""
    with TemporaryDirectory(prefix="answerdesk-live-") as folder:
        log = log or Path(folder) / "server.log"
        variables = _environment(Path(folder), env or {})
        if env and not OWN_DATA.isdisjoint(env):
            _run("migrate", variables, Path(folder))
        else:
            copytree(_prepared(), Path(folder) / "data", dirs_exist_ok=True)
        port = free_port()
        log.write_bytes(b"")
        server = _start(Path(folder), {**variables, "PORT": str(port)}, log, by_command, forked)
        if processes is not None:
            processes.append(server)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, server, log)
            yield url
        finally:
            _stop(server)
        if not tracebacks and "Traceback" in log.read_text("utf-8"):
            raise AssertionError(f"the server logged a traceback:\n{log.read_text('utf-8')}")


@cache
def _prepared() -> Path:
    """A data folder with the tables and the indexes of the sample knowledge bases, as every server would make it."""
    folder = TemporaryDirectory(prefix="answerdesk-prepared-")
    atexit.register(folder.cleanup)
    for command in ("migrate", "ingest"):
        _run(command, _environment(Path(folder.name), {}), Path(folder.name))
    return Path(folder.name) / "data"


def _environment(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    ours = set()
    for name, setting in Settings.model_fields.items():
        alias = setting.validation_alias
        ours |= {name, *(str(choice) for choice in alias.choices)} if isinstance(alias, AliasChoices) else {name}
    ours = {name.upper() for name in ours}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    return inherited | {"PYTHONPATH": str(HOUSE), "DATA_DIR": str(folder / "data"), **DEFAULTS, **env}


def _run(command: str, env: Mapping[str, str], folder: Path) -> None:
    done = run("cli:main", [command], folder, env, READY_WITHIN)
    assert done.returncode == 0, done.stdout + done.stderr


def _start(folder: Path, env: Mapping[str, str], log: Path, by_command: bool, forked: bool) -> Running:
    """Forked if told, unless it has workers, which it has to spawn itself."""
    program, arguments = "cli:main", ["serve"]
    if not by_command:
        program = "uvicorn.main:main"
        arguments = [
            "server:app",
            "--app-dir",
            str(HOUSE),
            "--port",
            env["PORT"],
            "--ws",
            "frames:Frames",
            "--no-access-log",
        ]
    if forked and int(env.get("WORKERS", "1")) == 1:
        return Forked(program, arguments, folder, env, log)
    module = program.partition(":")[0]
    with log.open("a") as out:
        command = [sys.executable, "-c", f"import {module}; {module}.main()", *arguments]
        return subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT)


def wait_until_ready(url: str, server: Running, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    with httpx.Client(trust_env=False, timeout=10) as client:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(POLL_EVERY)
    raise AssertionError(f"the server did not become ready:\n{log.read_text('utf-8')}")


def _stop(server: Running) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            raise
