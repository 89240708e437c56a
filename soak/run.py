"""One soak of one database: crashes and cuts until there were enough, then calm, then the checks."""

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from redis.asyncio import Redis

from soak.checker import calls_of, check, death, lost_for
from soak.clients import Person, Tally, signed_up
from soak.cutter import random_cut
from soak.observations import Observed, Violation
from soak.stored import Told, stored_turns, until_all_ended
from soak.upstream import RecordingUpstream
from soak.workers import Workers
from tests.databases import migrated_database
from tests.redis_servers import redis_prefix

LEASE = 4.0
"""Seconds. The settings allow 2; on a machine that is busy with other things a living worker then loses some turns."""
EVENTS_BETWEEN_KILLS = (80, 700)
ENDED_WITHIN = LEASE * 1.5 + 20.0
"""Seconds from the calm on, in which a turn that nobody follows may still be answered."""
USERS = 4
_GRAVE = ("error", "critical")


@dataclass(frozen=True)
class Plan:
    """At least so many kills and cuts, and at least so many seconds; `limit` is when it gives up."""

    database: str
    kills: int = 20
    cuts: int = 500
    seconds: float = 0.0
    workers: int = 3
    people: int = 12
    seed: int = 1

    @property
    def limit(self) -> float:
        return self.seconds + 300 + 15 * self.kills + 0.5 * self.cuts


@dataclass
class Report:
    """What happened, counted."""

    plan: Plan
    seconds: float = 0.0
    turns: Counter[str] = field(default_factory=Counter)
    events: int = 0
    reconnects: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    restart: float = 0.0
    most_lost: float = 0.0
    given_up: int = 0
    again: int = 0
    slowest: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def responses_cut(self) -> int:
        return sum(count for kind, count in self.cuts.items() if kind.startswith("response"))


def soak(plan: Plan) -> Report:
    """Blocks. Skips the calling test where the database or Redis is missing."""
    with tempfile.TemporaryDirectory(prefix="answerdesk-soak-") as temporary:
        folder = Path(temporary)
        with (
            redis_prefix() as (redis_url, prefix),
            migrated_database(plan.database, folder) as database,
            RecordingUpstream() as upstream,
        ):
            env = {
                **upstream.environment(),
                "DATABASE_URL": database,
                "DATA_DIR": str(folder / "data"),
                "REDIS_URL": redis_url,
                "REDIS_PREFIX": prefix,
                "TURN_LEASE_SECONDS": str(LEASE),
                "EMBEDDINGS": "off",
                "LOG_FORMAT": "json",
                **dict.fromkeys(("RATE_LIMIT_LOGIN", "RATE_LIMIT_REGISTER", "RATE_LIMIT_SEND"), "1000000/minute"),
            }
            return asyncio.run(_Soak(plan, upstream, database, env, folder).run())


class _Soak:
    def __init__(
        self, plan: Plan, upstream: RecordingUpstream, database: str, env: Mapping[str, str], folder: Path
    ) -> None:
        self._plan = plan
        self._upstream = upstream
        self._database = database
        self._env = env
        self._folder = folder
        self._rng = random.Random(plan.seed)
        self._tally = Tally()
        self._observed = Observed(calls=upstream.calls, wall=time.time() - time.monotonic())
        self._report = Report(plan)

    async def run(self) -> Report:
        begun = time.monotonic()
        async with AsyncExitStack() as stack:
            # A connection for each request: what is cut is then one request's.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            cuts = random.Random(f"cuts {self._plan.seed}")
            workers = await stack.enter_async_context(
                Workers.started(self._plan.workers, self._env, self._folder, lambda: random_cut(cuts))
            )
            people = await self._people(http, workers)
            await self._disturb(workers, people)
            await self._settle(http, workers, people)
            self._report.restart = max(workers.started_in[self._plan.workers :], default=0.0)
        self._observed.logged = _grave_lines(self._folder)
        self._report.violations += check(self._observed, LEASE)
        self._count()
        self._report.seconds = time.monotonic() - begun
        return self._report

    async def _people(self, http: aiohttp.ClientSession, workers: Workers) -> dict[Person, str]:
        base = workers.all[0].direct
        tokens = [await signed_up(http, base, f"soak{number}") for number in range(USERS)]
        return {
            Person(number, token, http, workers, self._tally, str(self._plan.seed)): token
            for number, token in zip(range(self._plan.people), tokens * self._plan.people, strict=False)
        }

    async def _disturb(self, workers: Workers, people: Mapping[Person, str]) -> None:
        """Until there were enough kills and cuts, or the time is over."""
        enough = asyncio.Event()
        asking = [asyncio.create_task(person.ask_until(enough)) for person in people]
        killing = asyncio.create_task(self._kill(workers))
        ends_at = time.monotonic() + self._plan.seconds
        try:
            async with asyncio.timeout(self._plan.limit):
                while not self._done(workers, ends_at):
                    await self._tally.more_events(10)
        except TimeoutError:
            missing = f"{len(workers.kills)} kills, {_responses_cut(workers)} cuts in {self._plan.limit:.0f} s"
            self._report.violations.append(Violation("the soak gets done", "-", missing))
        killing.cancel()
        await asyncio.wait([killing])
        enough.set()
        for worker in workers.all:
            worker.cutter.calm()
        await workers.all_ready()
        await asyncio.gather(*asking)

    def _done(self, workers: Workers, ends_at: float) -> bool:
        return (
            time.monotonic() >= ends_at
            and len(workers.kills) >= self._plan.kills
            and _responses_cut(workers) >= self._plan.cuts
        )

    async def _kill(self, workers: Workers) -> None:
        """After a random number of events each. One worker is left alive to find the turns of the dead."""
        while True:
            await self._tally.more_events(self._rng.randint(*EVENTS_BETWEEN_KILLS))
            while len(workers.ready) < 2:
                await self._tally.more_events(1)
            workers.kill(await workers.any(self._rng))

    async def _settle(self, http: aiohttp.ClientSession, workers: Workers, people: Mapping[Person, str]) -> None:
        """All turns end, each chat answers once more, and what there is then is read in every way."""
        if not await until_all_ended(self._database, ENDED_WITHIN):
            self._report.violations.append(Violation("every turn ends", "-", f"not within {ENDED_WITHIN:.0f} s"))
        await asyncio.gather(*(person.ask_once_more() for person in people))
        self._observed.kills, self._observed.stalls = workers.kills, workers.stalls
        self._observed.asks = [ask for person in people for ask in person.asks]
        token_of_chat = {ask.chat_id: token for person, token in people.items() for ask in person.asks}
        told = Told(http, workers.all[0].direct, token_of_chat)
        self._observed.stored = await told.replays(await stored_turns(self._database))
        self._observed.listed = await told.lists()
        self._report.violations += await self._left_in_redis()
        for worker in workers.all:
            self._report.cuts += worker.cutter.cuts

    async def _left_in_redis(self) -> list[Violation]:
        """Log entries expire."""
        async with Redis.from_url(self._env["REDIS_URL"]) as redis:
            keys = [key async for key in redis.scan_iter(f"{self._env['REDIS_PREFIX']}:*")]
            for_ever = [key for key in keys if await redis.pttl(key) == -1]
        return [Violation("what is in Redis expires", "-", key.decode()) for key in for_ever]

    def _count(self) -> None:
        report, observed = self._report, self._observed
        report.turns = Counter(turn.status for turn in observed.stored)
        report.events = self._tally.events
        report.reconnects = self._tally.reconnects
        report.retried = self._tally.retried
        report.retried["closed early"] += self._tally.closed_early
        report.kills = len(observed.kills)
        report.calls = len(observed.calls)
        report.slowest = max((took for _, took in observed.stalls), default=0.0)
        asks = {ask.key: ask for ask in observed.asks}
        report.again = sum(ask.again is not None for ask in observed.asks)
        calls = calls_of(observed)
        for turn in observed.stored:
            if turn.status == "INTERRUPTED" and turn.key in asks and calls.get(turn.key):
                died = death(calls[turn.key][0], observed.kills, LEASE)
                if died is None:
                    report.given_up += 1
                else:
                    report.most_lost = max(report.most_lost, lost_for(asks[turn.key], turn, died))


def _responses_cut(workers: Workers) -> int:
    return sum(worker.cutter.responses_cut for worker in workers.all)


def _grave_lines(folder: Path) -> list[str]:
    """What the workers logged as an error, or not as the log that it should be."""
    found = []
    for log in sorted(folder.glob("worker-*.log")):
        for line in log.read_text("utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                grave = entry.get("level") in _GRAVE
            except (ValueError, AttributeError):
                grave = bool(line.strip())
            if grave:
                found.append(f"{log.name}: {line[:2_000]}")
    return found
