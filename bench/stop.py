"""How soon a stop ends the call of the model, while other answers stream: `python -m bench.stop`.

From the moment when `POST /chat/turns/{id}/stop` is sent until the model (bench.upstream, a process of its own) sees its
connection closed, in ms: authentication, the database's answer to whose turn it is, and the way there are in it.
20 answers are stopped, one after the other, while 20 others go on. Linux only.
"""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop

from bench.followers import rest, sign_up
from bench.tokens import CONTENDERS, HOUSE, READY_WITHIN, environment, process, wait_for
from soak.ports import free_port

STREAMS = 20
SCRIPT = "tokens=100000&rate=50&think=0.3"
TURN = re.compile(rb'"turn_id":(\d+)')


async def begun(frames: AsyncIterator[bytes]) -> int:
    """The turn's id, once its answer streams."""
    turn = 0
    async for frame in frames:
        if found := TURN.search(frame):
            turn = int(found[1])
        if b"answer_delta" in frame:
            return turn
    raise RuntimeError("the answer ended")


async def drained(frames: AsyncIterator[bytes]) -> None:
    async for _ in frames:
        pass


async def stopped(session: aiohttp.ClientSession, base: str, upstream: str, token: str, turn: int) -> float:
    """Seconds from the request to the closed connection."""
    asked, give_up_at = time.monotonic(), time.monotonic() + READY_WITHIN
    url, headers = f"{base}/api/v1/chat/turns/{turn}/stop", {"Authorization": f"Bearer {token}"}
    async with session.post(url, headers=headers) as answer:
        answer.raise_for_status()
    while time.monotonic() < give_up_at:
        async with session.get(f"{upstream}/closed") as answer:
            after = [at for at in await answer.json(content_type=None) if at > asked]
        if after:
            return float(after[0]) - asked
    raise RuntimeError("the model's connection was not closed")


async def measure(base: str, upstream: str) -> list[float]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        (await session.get(f"{upstream}/script?{SCRIPT}")).release()
        who: list[Any] = [await sign_up(session, base, STREAMS) for _ in range(2)]
        answers = [rest(session, base, one) for group in who for one in group]
        turns = await asyncio.gather(*(begun(answer) for answer in answers))
        following = [asyncio.create_task(drained(answer)) for answer in answers]
        tokens = [token for token, _, _ in who[0]]
        found = [
            await stopped(session, base, upstream, token, turn) for token, turn in zip(tokens, turns, strict=False)
        ]
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        return found


def main() -> None:
    contender = next(one for one in CONTENDERS if one.kind == "rest")
    with tempfile.TemporaryDirectory(prefix="answerdesk-bench-") as name:
        folder, port, upstream_port = Path(name), free_port(), free_port()
        upstream, base = f"http://127.0.0.1:{upstream_port}", f"http://127.0.0.1:{port}"
        env = {**os.environ, **environment(contender, upstream, folder)}
        with process(["-c", "import cli; cli.main()", "migrate"], env, folder) as migrating:
            migrating.wait(READY_WITHIN)
        served = [
            "-m",
            "uvicorn",
            contender.app,
            "--app-dir",
            str(HOUSE),
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
        with (
            process(["-m", "bench.upstream", str(upstream_port)], env, folder) as model,
            process(served, env, folder) as server,
        ):
            wait_for(f"{upstream}/script", model, folder)
            wait_for(f"{base}/readyz", server, folder)
            found = sorted(uvloop.run(measure(base, upstream)))
    print(f"stop to closed connection: median {median(found) * 1e3:.1f} ms, longest {found[-1] * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
