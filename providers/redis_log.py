"""The turn log of many processes: events on Redis Streams, and in memory for the followers of the turns that run here.

Losing Redis costs nobody an event. Turns and their followers in the same process do not notice; followers in other
processes go on from the store, a save behind; and when Redis is back the turns that still run are written again.
"""

from uuid import uuid4

from redis.asyncio.connection import parse_url

from domain.errors import DeskError, ServiceUnavailable
from domain.events import TurnEvent
from domain.ports import LogReader, TurnLog
from providers.memory_log import MemoryTurnLog
from providers.redis_connection import FAILURES
from providers.redis_tail import TurnTail
from providers.redis_writer import LogKeys, TurnWriter


class RedisTurnLog(TurnLog):
    """Uses two connections, however many turns and followers there are. Keys begin with `prefix`; those of one
    database's turns must not be shared with another's. `linger` is how long in seconds an ended turn is kept, `keep`
    how long one whose process went silent is. Raises ValueError for an address that is none."""

    def __init__(self, url: str, prefix: str = "answerdesk", linger: float = 60, keep: float = 30) -> None:
        keys = LogKeys(prefix, f"{prefix}:wake:{uuid4().hex}")
        self._local = MemoryTurnLog(linger)
        self._writer = TurnWriter(url, keys, keep, linger)
        self._tail = TurnTail(url, keys, self._writer.wake)
        where = parse_url(url)
        self._place = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"

    @property
    def name(self) -> str:
        return f"Redis at {self._place}"

    @property
    def unwritten(self) -> int:
        """How many turns' events are kept for Redis: those that run, and those that ended but are not all written."""
        return self._writer.turns

    async def check(self) -> None:
        """Raises ServiceUnavailable unless Redis answers now."""
        try:
            await self._writer.ping()
        except FAILURES as failure:
            raise ServiceUnavailable("Redis cannot be reached just now.") from failure

    async def open(self, turn_id: int) -> None:
        await self._local.open(turn_id)
        self._writer.begin(turn_id)

    def append(self, turn_id: int, event: TurnEvent) -> None:
        self._local.append(turn_id, event)
        self._writer.append(event)

    def drop(self, turn_id: int, error: DeskError) -> None:
        self._local.drop(turn_id, error)
        self._writer.forget(turn_id)

    def reader(self, turn_id: int, after: int) -> LogReader | None:
        return self._local.reader(turn_id, after) or self._tail.reader(turn_id, after)

    async def close(self) -> None:
        await self._writer.close()
        await self._tail.close()
        await self._local.close()
