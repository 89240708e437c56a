"""What a process imports: the SDKs that its settings choose, and no others. They take seconds, and each its memory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from settings import HOUSE
from soak.ports import free_port
from tests.live_server import wait_until_ready

SDKS = {"openai", "langchain_openai", "azure", "redis", "asyncpg", "asyncmy", "aiohttp", "onnxruntime", "numpy"}
FACES = {"fastapi", "starlette", "strawberry", "uvicorn"}
WORKFLOW = {"langchain_core", "langgraph"}
DATABASES = {"sqlalchemy", "alembic"}

PROGRAM = """
import atexit, os, sys
from pathlib import Path
import cli
atexit.register(lambda: Path("imported").write_text("\\n".join({name.partition(".")[0] for name in sys.modules})))
cli.main()
"""


def start(folder: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "EMBEDDINGS": "off", **variables}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *command], cwd=folder, env=environment, text=True, **said)


def imported(process: subprocess.Popen[str], folder: Path) -> set[str]:
    """The packages, once it has ended well."""
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return set((folder / "imported").read_text("utf-8").split())


@pytest.mark.parametrize(
    ("command", "needed", "spared"),
    [
        (["migrate"], DATABASES, SDKS | FACES | WORKFLOW),
        (["export-schema"], {"strawberry"}, SDKS | WORKFLOW | DATABASES | {"fastapi", "uvicorn"}),
        (["ingest"], {"markdown_it"}, SDKS | FACES | WORKFLOW | DATABASES),
        (["ask", "What is the nano pricing plan?"], WORKFLOW, SDKS | FACES | DATABASES),
    ],
    ids=lambda it: it[0] if isinstance(it, list) else "",
)
def test_a_command_imports_what_it_needs(command: list[str], needed: set[str], spared: set[str], tmp_path: Path) -> None:
    loaded = imported(start(tmp_path, *command), tmp_path)
    assert needed <= loaded
    assert not spared & loaded


def test_a_server_on_embedded_defaults_imports_no_sdk(tmp_path: Path) -> None:
    """Neither when it starts nor when it answers."""
    port = free_port()
    with start(tmp_path, "serve", PORT=str(port)) as server:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(base, server)
        with httpx.Client(base_url=f"{base}/api/v1", trust_env=False, timeout=60) as client:
            sign_up(client)
            chat_id = client.post("/chat/sessions").json()["id"]
            with client.stream("POST", f"/chat/sessions/{chat_id}/messages", json={"text": "nano pricing plan?"}) as it:
                assert "turn_completed" in "".join(it.iter_text())
        server.send_signal(signal.SIGINT)
        loaded = imported(server, tmp_path)
    assert FACES | WORKFLOW | DATABASES <= loaded
    assert not SDKS & loaded
