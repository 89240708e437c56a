"""What a streamed token costs the server: Answerdesk beside raw byte pass-through and the textbook stack.

    python -m bench.tokens [--only rest] [--capacity]

One upstream for all (bench.upstream), one server process at a time, clients in a third process (bench.followers).
CPU is the server process's own, from /proc: of the whole run, the work of each turn before its first token included,
and by the token alone (the same turns with one token each subtracted). What pass-through takes is measured again before and
after each, so that a machine that others use, too, is compared with itself; likewise how soon the first token comes with
nothing between clients and upstream, which is none of a server's adding. Memory is what 100 open streams add. Linux only.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from soak.ports import free_port

HOUSE = Path(__file__).resolve().parent.parent
STREAMS, TOKENS, RATE, THINK = 20, 200, 50, 0.3
MANY, SLOWLY = 100, {"tokens": 40, "rate": 10, "think": THINK}
"""Streams whose memory is measured: more than those that are timed, since one is small beside the process."""
ROUNDS, FIRSTS = 4, {"tokens": 40, "rate": RATE, "think": THINK}
"""Turns of which only the first token is looked at: long enough for all of a round to stream when its last one begins."""
COARSE, FINE = (200, 100, 50, 25), (200, 175, 150, 125, 100, 80, 60, 40, 30, 20)
"""So many streams are tried, one after the other, until tokens come in time."""
LATE = 0.1
"""Seconds that p99 of the tokens may come late when it is asked how many streams a process holds."""
READY_WITHIN = 90.0


@dataclass(frozen=True)
class Contender:
    name: str
    app: str
    kind: str
    aim: str = ""


CONTENDERS = (
    Contender("raw byte pass-through", "bench.passthrough:app", "raw"),
    Contender("textbook stack, WebSocket", "bench.textbook:app", "textbook"),
    Contender("Answerdesk, REST SSE", "server:app", "rest", "4"),
    Contender("Answerdesk, GraphQL SSE", "server:app", "graphql_sse", "5"),
    Contender("Answerdesk, GraphQL WebSocket", "server:app", "graphql_ws", "5"),
)


@dataclass(frozen=True)
class Figures:
    """µs of CPU a token (whole run, the same of pass-through around it, and without what a turn costs by itself), ms of CPU
    a turn, ms until the first token without the model's thinking (whole, and with nothing between), ms, KB."""

    token: float
    raw: float
    bare_token: float
    turn: float
    first: float
    least: float
    gap: float
    memory: float
    holds: int


def cpu(pid: int) -> float:
    """Seconds of CPU that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """KB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


@contextmanager
def process(arguments: list[str], env: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen([sys.executable, *arguments], env=env, cwd=folder, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url, timeout=5):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready:\n{(folder / 'log').read_text('utf-8')[-4000:]}")


class Bench:
    """One server under measurement."""

    def __init__(self, upstream: str, kind: str, base: str, pid: int) -> None:
        self._upstream, self.kind, self._base, self._pid = upstream, kind, base, pid

    def run(self, streams: int, during: float | None = None, **script: float) -> tuple[float, float, dict[str, Any]]:
        """CPU seconds, KB that were resident after `during` seconds more than before, and what the clients saw."""
        with urlopen(f"{self._upstream}/script?" + "&".join(f"{k}={v}" for k, v in script.items())):  # noqa: S310
            pass
        arguments = [sys.executable, "-m", "bench.followers", self.kind, self._base, str(streams)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HOUSE) as clients:
            assert clients.stdin is not None
            assert clients.stdout is not None
            if clients.stdout.readline() != b"ready\n":
                raise SystemExit(f"the clients of {self.kind} did not start")
            before, memory = cpu(self._pid), resident(self._pid)
            clients.stdin.write(b"\n")
            clients.stdin.flush()
            if during is not None:
                time.sleep(during)
                memory = resident(self._pid) - memory
            answer = clients.stdout.readline()
            used = cpu(self._pid) - before
        if not answer:
            raise SystemExit(f"the clients of {self.kind} failed")
        seen = json.loads(answer)
        wanted = streams * int(script["tokens"])
        if len(seen["late"]) != wanted:
            raise SystemExit(f"{self.kind}: {len(seen['late'])} of {wanted} tokens arrived")
        return used, memory, seen

    def token(self) -> tuple[float, dict[str, Any]]:
        """µs of CPU a token, and what the clients saw."""
        used, _, seen = self.run(STREAMS, tokens=TOKENS, rate=RATE, think=THINK)
        return used / (STREAMS * TOKENS) * 1e6, seen

    def firsts(self, rounds: int) -> list[float]:
        """ms until the first token, without the model's thinking, in each turn of so many rounds."""
        seen = [self.run(STREAMS, **FIRSTS)[2]["first"] for _ in range(rounds)]
        return [(first - THINK) * 1e3 for round_ in seen for first in round_]

    def figures(self, levels: Sequence[int], raw: "Bench", nothing: "Bench") -> Figures:
        """Beside `raw`, which passes bytes through, and the upstream itself."""
        self.run(STREAMS, tokens=50, rate=50, think=THINK)
        # Early: what a round frees stays with the process, and a later one takes it without growing.
        _, memory, _ = self.run(MANY, during=3.5, **SLOWLY)
        turns, _, _ = self.run(STREAMS, tokens=1, rate=RATE, think=THINK)
        firsts, leasts = self.firsts(ROUNDS), nothing.firsts(ROUNDS // 2)
        before, _ = raw.token()
        token, seen = self.token()
        after, _ = raw.token()
        return Figures(
            token=token,
            raw=(before + after) / 2,
            bare_token=(token * STREAMS * TOKENS - turns * 1e6) / (STREAMS * (TOKENS - 1)),
            turn=turns / STREAMS * 1e3,
            first=median(firsts),
            least=median(leasts),
            gap=quantiles(seen["gaps"], n=100)[98] * 1e3,
            memory=memory / MANY,
            holds=self._holds(levels),
        )

    def _holds(self, levels: Sequence[int]) -> int:
        """The most of `levels`, which go down, 0 for less than those."""
        for streams in levels:
            _, _, seen = self.run(streams, tokens=150, rate=RATE, think=THINK)
            if quantiles(seen["late"], n=100)[98] <= LATE:
                return streams
        return 0


@contextmanager
def serving(contender: Contender, upstream: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="answerdesk-bench-") as temporary:
        folder = Path(temporary)
        env = {**os.environ, **environment(contender, upstream, folder)}
        if contender.app == "server:app":
            with process(["-c", "import cli; cli.main()", "migrate"], env, folder) as migrating:
                migrating.wait(READY_WITHIN)
        base = f"http://127.0.0.1:{(port := free_port())}"
        served = ["-m", "uvicorn", contender.app, "--app-dir", str(HOUSE), "--port", str(port), "--no-access-log"]
        frames = "frames:Frames" if contender.app == "server:app" else "websockets-sansio"
        lean = ["--ws", frames, "--ws-per-message-deflate", "false", "--log-level", "warning"]
        with process(served + (lean if contender.kind != "textbook" else []), env, folder) as server:
            ready = {"server:app": "/readyz", "bench.textbook:app": "/graphql?query={ready}"}
            wait_for(base + ready.get(contender.app, "/"), server, folder)
            yield Bench(upstream, contender.kind, base, server.pid)


def environment(contender: Contender, upstream: str, folder: Path) -> dict[str, str]:
    if contender.app != "server:app":
        return {"PYTHONPATH": str(HOUSE), "UPSTREAM_URL": upstream}
    return {
        "PYTHONPATH": str(HOUSE),
        "DATA_DIR": str(folder / "data"),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "EMBEDDINGS": "off",
        "AZURE_OPENAI_API_KEY": "none",
        "AZURE_OPENAI_DEPLOYMENT": "gpt-4o",
        "AZURE_OPEN_API_ENDPOINT": upstream,
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
        "AZURE_ENDPOINT": "",
        "AZURE_KEY": "",
        "RATE_LIMIT_LOGIN": "100000/minute",
        "RATE_LIMIT_REGISTER": "100000/minute",
        "RATE_LIMIT_SEND": "100000/minute",
        "LOG_LEVEL": "WARNING",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[contender.kind for contender in CONTENDERS], action="append")
    parser.add_argument("--capacity", action="store_true", help="in finer steps, how many streams a process holds")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}")
    print(f"{STREAMS} streams of {TOKENS} tokens, {RATE} tokens/s each; memory: {MANY} streams\n")
    print(f"{'':<30} {'µs CPU/token':>12} {'× raw':>6} {'aim':>4} {'alone':>6} {'ms/turn':>8} ", end="")
    print(f"{'first ms':>8} {'added':>5} {'gap p99 ms':>10} {'KB/stream':>9} {'streams held':>12}")
    port = free_port()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="answerdesk-bench-"))
        env = {**os.environ, "PYTHONPATH": str(HOUSE)}
        server = stack.enter_context(process(["-m", "bench.upstream", str(port)], env, Path(folder)))
        upstream = f"http://127.0.0.1:{port}"
        wait_for(f"{upstream}/script", server, Path(folder))
        nothing = Bench(upstream, "raw", upstream, server.pid)
        raw = stack.enter_context(serving(CONTENDERS[0], upstream))
        for contender in CONTENDERS:
            if options.only and contender.kind not in options.only:
                continue
            with nullcontext(raw) if contender.kind == raw.kind else serving(contender, upstream) as bench:
                print(_line(contender, bench.figures(FINE if options.capacity else COARSE, raw, nothing)), flush=True)


def _line(contender: Contender, figures: Figures) -> str:
    return (
        f"{contender.name:<30} {figures.token:>12.0f} {figures.token / figures.raw:>6.1f} {contender.aim:>4} "
        f"{figures.bare_token:>6.0f} {figures.turn:>8.1f} {figures.first:>8.1f} {figures.first - figures.least:>5.1f} "
        f"{figures.gap:>10.1f} {figures.memory:>9.0f} {figures.holds:>12}"
    )


if __name__ == "__main__":
    main()
