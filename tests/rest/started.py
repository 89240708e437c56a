"""The product, started as `python -m uvicorn server:app` with settings and a data folder of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from db.migrations import upgrade

HOUSE = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds for the first start, which indexes the knowledge bases."""


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[str]:
    """The server's address, once it answers."""
    upgrade(f"sqlite+aiosqlite:///{folder / 'answerdesk.sqlite3'}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "DATA_DIR": str(folder), **settings}
    command = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(port), "--timeout-graceful-shutdown", "2"]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")
