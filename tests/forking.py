"""Processes of ours, forked from one that has imported the product, which takes seconds: a fork takes milliseconds.

    server = Forked("uvicorn.main:main", ["server:app"], folder, env, log)
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == -signal.SIGTERM

They are what `python -m uvicorn` or `answerdesk` would be: processes with an id, signals, an exit status and a coverage of
their own, that read their environment after the fork. Their parent is multiprocessing's fork server, one for each process
that runs tests; it has no thread, no event loop and no settings. tests/test_forking.py holds this.
"""

import atexit
import multiprocessing
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

HOUSE = Path(__file__).resolve().parent.parent
WARM = "tests.warm"


class Forked:
    """Runs `program` (module:function) as the command `arguments[0]`, with what follows. What it prints goes behind what
    is in the file `out`, its errors to the file `err` where that is another. The methods are subprocess.Popen's."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        out: Path,
        err: Path | None = None,
    ) -> None:
        become = (program, tuple(arguments), folder, dict(env), out, err or out)
        self._process = _fork_server().Process(target=_become, args=become, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.args = (program, *arguments)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def run(
    program: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """As subprocess.run, with what was printed."""
    with TemporaryDirectory(prefix="answerdesk-run-") as said:
        out, err = Path(said, "out"), Path(said, "err")
        process = Forked(program, arguments, folder, env, out, err)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, code, out.read_text("utf-8"), err.read_text("utf-8"))


@cache
def _fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM])
    with chdir(HOUSE):  # where it looks for what it is to import
        forkserver.ensure_running()
    return context


def _become(program: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], out: Path, err: Path) -> None:
    if WARM not in sys.modules:
        raise RuntimeError(f"the fork server could not import {WARM}: import it to see why")
    for path, descriptor in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [program, *arguments]
    try:
        pkgutil.resolve_name(program)()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
