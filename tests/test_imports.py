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
from tests.rest.conftest import signed_up

SDKS = {"openai", "langchain_openai", "azure", "redis", "asyncpg", "asyncmy", "aiohttp", "onnxruntime"}
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


def start(folder: Path, *command: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HOUSE), "EMBEDDINGS": "off", **variables}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COV")}
    with (folder / "log").open("w") as log:
        run = [sys.executable, "-c", PROGRAM, *command]
        return subprocess.Popen(run, cwd=folder, env=environment, stdout=log, stderr=log)


def imported(process: subprocess.Popen[bytes], folder: Path) -> set[str]:
    """The packages, once it has ended well."""
    assert process.wait(120) == 0, (folder / "log").read_text("utf-8")
    return set((folder / "imported").read_text("utf-8").split())


@pytest.mark.parametrize(
    ("command", "needed", "spared"),
    [
        (["migrate"], DATABASES, SDKS | FACES | WORKFLOW),
        (["export-schema"], {"strawberry"}, SDKS | WORKFLOW | DATABASES | {"fastapi", "uvicorn"}),
        (["ingest"], {"markdown_it", "numpy"}, SDKS | FACES | WORKFLOW | DATABASES),
        (["ask", "What is the nano pricing plan?"], WORKFLOW, SDKS | FACES | DATABASES),
    ],
    ids=lambda it: it[0] if isinstance(it, list) else "",
)
def test_a_command_imports_what_it_needs(
    command: list[str], needed: set[str], spared: set[str], tmp_path: Path
) -> None:
    loaded = imported(start(tmp_path, *command), tmp_path)
    assert needed <= loaded
    assert not spared & loaded


async def test_a_server_on_embedded_defaults_imports_no_sdk(tmp_path: Path) -> None:
    """Neither when it starts nor when it answers; nor numpy, where the knowledge bases are indexed already."""
    imported(start(tmp_path, "ingest"), tmp_path)
    port = free_port()
    with start(tmp_path, "serve", PORT=str(port)) as server:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(base, server, tmp_path / "log")
        async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False, timeout=60) as http:
            user = await signed_up(http)
            assert b"turn_completed" in await user.asked(await user.new_chat())
        server.send_signal(signal.SIGINT)
        loaded = imported(server, tmp_path)
    assert loaded >= FACES | WORKFLOW | DATABASES
    assert not (SDKS | {"numpy"}) & loaded
