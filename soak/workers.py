"""The workers of a soak: each behind a proxy, killed with -9 and started again on the same port.

async with Workers.started(3, env, folder, cut) as workers:
    worker = workers.any(rng)
    …
    workers.kill(worker)
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from soak.cutter import Cut, Cutter
from soak.ports import free_port

HOUSE = Path(__file__).resolve().parents[1]
READY_WITHIN = 60.0
"""Seconds, on a busy machine."""
LOOK_EVERY = 0.05
WATCH_EVERY = 0.3
KILLED = 9
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""Of the caller's environment. Nothing else reaches a worker: neither settings, nor coverage, which kill -9 ends anyway."""


def environment(env: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": str(HOUSE)} | dict(env)


class Worker:
    """One of several. `ready` says that it answers; `url` leads through the proxy, `direct` past it."""

    def __init__(self, number: int, port: int, cutter: Cutter, proxy_port: int, log: Path) -> None:
        self.number = number
        self.port = port
        self.cutter = cutter
        self.log = log
        self.url = f"http://127.0.0.1:{proxy_port}"
        self.direct = f"http://127.0.0.1:{port}"
        self.pid = 0
        self.ready = asyncio.Event()


class Workers:
    def __init__(
        self, nursery: asyncio.subprocess.Process, env: Mapping[str, str], http: aiohttp.ClientSession
    ) -> None:
        self.all: list[Worker] = []
        self.kills: list[float] = []
        self.started_in: list[float] = []
        self.faults: list[str] = []
        self.stalls: list[tuple[float, float]] = []
        """When a look at a worker's /readyz ended, and how long it took: what this machine makes of a small request."""
        self._nursery = nursery
        self._env = env
        self._http = http
        self._talking = asyncio.Lock()
        self._replacing: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def started(
        cls, number: int, env: Mapping[str, str], folder: Path, plan: Callable[[], Cut | None]
    ) -> AsyncIterator["Workers"]:
        """All answer. In the end all are killed."""
        nursery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "soak.nursery", env=environment({}), cwd=folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with aiohttp.ClientSession() as http:
            workers = cls(nursery, environment(env), http)
            try:
                for place in range(number):
                    port = free_port()
                    cutter = Cutter(port, plan)
                    log = folder / f"worker-{place}.log"
                    workers.all.append(Worker(place, port, cutter, await cutter.start(), log))
                for worker in workers.all:  # one after another: the first makes the index and the keys
                    await workers._start(worker)
                watching = asyncio.create_task(workers._watch())
                try:
                    yield workers
                finally:
                    watching.cancel()
            finally:
                await workers._close()

    @property
    def ready(self) -> list[Worker]:
        return [worker for worker in self.all if worker.ready.is_set()]

    async def any(self, rng: random.Random) -> Worker:
        """One that is ready, as far as is known."""
        while not self.ready:
            waiting = [asyncio.create_task(worker.ready.wait()) for worker in self.all]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        return rng.choice(self.ready)

    def kill(self, worker: Worker) -> None:
        """Kills it with -9, and starts it again beside what follows."""
        worker.ready.clear()
        task = asyncio.create_task(self._replace(worker), name=f"replace worker {worker.number}")
        self._replacing.add(task)
        task.add_done_callback(self._replaced)

    async def all_ready(self) -> None:
        while self._replacing:
            await asyncio.wait(self._replacing)
        if self.faults:
            raise RuntimeError("; ".join(self.faults))

    def _replaced(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.faults.append(str(task.exception()))

    async def _watch(self) -> None:
        while True:
            for worker in self.ready:
                begun = time.monotonic()
                try:
                    async with self._http.get(f"{worker.direct}/readyz"):
                        pass
                except (aiohttp.ClientError, OSError):
                    continue
                self.stalls.append((time.monotonic(), time.monotonic() - begun))
            await asyncio.sleep(WATCH_EVERY)

    async def _replace(self, worker: Worker) -> None:
        await self._end(worker)
        await self._start(worker)

    async def _start(self, worker: Worker) -> None:
        begun = time.monotonic()
        start = {"port": worker.port, "env": self._env, "log": str(worker.log)}
        worker.pid = (await self._tell({"start": start}))["pid"]
        while time.monotonic() - begun < READY_WITHIN:
            try:
                async with self._http.get(f"{worker.direct}/readyz") as answer:
                    if answer.status == 200:
                        worker.ready.set()
                        self.started_in.append(time.monotonic() - begun)
                        return
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(LOOK_EVERY)
        raise RuntimeError(f"worker {worker.number} did not become ready:\n{worker.log.read_text('utf-8')[-4000:]}")

    async def _end(self, worker: Worker) -> None:
        self.kills.append(time.monotonic())
        ended_by = (await self._tell({"kill": worker.pid}))["signal"]
        worker.pid = 0
        if ended_by != KILLED:
            self.faults.append(f"worker {worker.number} had ended by itself before it was killed")

    async def _tell(self, command: Any) -> Any:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        async with self._talking:
            self._nursery.stdin.write(json.dumps(command).encode() + b"\n")
            await self._nursery.stdin.drain()
            answer = await self._nursery.stdout.readline()
        if not answer:
            raise RuntimeError("the nursery of the workers is gone")
        return json.loads(answer)

    async def _close(self) -> None:
        for task in tuple(self._replacing):
            task.cancel()
        for worker in self.all:
            await worker.cutter.close()
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()  # it kills what runs
        try:
            async with asyncio.timeout(10):
                await self._nursery.wait()
        except TimeoutError:
            self._nursery.kill()
            await self._nursery.wait()
