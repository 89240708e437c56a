"""Where workers are born: a process that has imported the server and forks, so that a restart costs 0.5 s and not 3.5.

    python -m soak.nursery

Each line on its input is a JSON command: {"start": {"port", "env", "log"}} answers {"pid"}; {"kill": pid} kills with
-9 and answers {"signal"}, the number that ended the process (0: it had ended by itself). A worker is what `uvicorn
server:app` is, with the options of `answerdesk serve`. When the input ends, all that still run are killed.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl

import server
from frames import Frames


def main() -> None:
    assert server.create_app is not None  # it is here to be imported once for all workers
    gc.collect()
    gc.freeze()  # else every child walks, and so copies, all that is imported
    alive: set[int] = set()
    try:
        for line in sys.stdin:
            match json.loads(line):
                case {"start": {"port": int(port), "env": dict(env), "log": str(log)}}:
                    pid = os.fork()
                    if pid == 0:
                        _become_worker(port, env, Path(log))
                    alive.add(pid)
                    answer: dict[str, Any] = {"pid": pid}
                case {"kill": int(pid)}:
                    alive.discard(pid)
                    answer = {"signal": _kill(pid)}
                case other:
                    raise ValueError(f"no such command: {other}")
            print(json.dumps(answer), flush=True)
    finally:
        for pid in alive:
            _kill(pid)


def _kill(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)  # not reaped yet, so the id is still its own
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _become_worker(port: int, env: dict[str, str], log: Path) -> None:
    """Never returns."""
    try:
        with log.open("ab") as out, Path(os.devnull).open("rb") as nothing:
            for ours, theirs in ((nothing, 0), (out, 1), (out, 2)):
                os.dup2(ours.fileno(), theirs)
        os.environ.clear()
        os.environ.update(env)
        uvicorn.run(
            "server:app",
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            ws=Frames,
            ws_per_message_deflate=False,
            server_header=False,
        )
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
