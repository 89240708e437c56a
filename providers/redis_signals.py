"""Signals to every process, over one Redis stream.

A stream and not publish/subscribe, because it remembers: a worker whose connection was lost reads what it missed, and
what could not be sent is sent when Redis is back. The handlers of the sending process are called at once, always.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import structlog

from domain.ports import LoginsEnded, Signal, Signals, StopRequested
from providers.redis_connection import ANSWER_WITHIN, FAILURES, Pause, end, open_redis

BLOCK = 1.0
"""Seconds that a read waits, and between attempts to send what could not be sent."""
KEPT = 10_000
"""Signals, about, that the stream holds, and that wait here while Redis is away."""
KEPT_FOR = 3_600_000
"""Milliseconds that the stream stays after the last signal."""
_log = structlog.get_logger()


class RedisSignals(Signals):
    """Between `start` and `close` it hears the others. Raises ValueError for an address that is none."""

    def __init__(self, url: str, prefix: str = "answerdesk") -> None:
        self._handlers: list[Callable[[Signal], None]] = []
        self._key = f"{prefix}:signals"
        self._me = uuid4().hex.encode()
        self._sender = open_redis(url)
        self._listener = open_redis(url, blocks=BLOCK)
        self._unsent: deque[bytes] = deque(maxlen=KEPT)
        self._sending = asyncio.Lock()
        self._away = False
        self._place: bytes | None = None
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once the others are heard, or Redis turned out to be away: then it goes on trying."""
        self._task = asyncio.create_task(self._run(), name="hear signals")
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._listening.wait()
        except TimeoutError:
            pass

    async def publish(self, signal: Signal) -> None:
        """Never fails: what cannot be sent now is sent later."""
        for handler in self._handlers:
            handler(signal)
        self._unsent.append(_encode(signal))
        try:
            async with self._sending:
                if not self._away:
                    await self._send()
        except FAILURES as failure:
            self._away = True
            _log.warning("signal_not_sent", waiting=len(self._unsent), reason=str(failure))

    def subscribe(self, handler: Callable[[Signal], None]) -> None:
        self._handlers.append(handler)

    async def close(self) -> None:
        await end(self._task)
        await self._sender.aclose()
        await self._listener.aclose()

    async def _send(self) -> None:
        """Sends what waits, in order. Needs `_sending`. What a lost connection leaves in doubt is sent again: twice
        asks for nothing more than once does."""
        while self._unsent:
            waiting = tuple(self._unsent)
            pipe = self._sender.pipeline(transaction=False)
            for data in waiting:
                pipe.xadd(self._key, {"from": self._me, "signal": data}, maxlen=KEPT)
            pipe.pexpire(self._key, KEPT_FOR)
            await pipe.execute()
            for data in waiting:
                if self._unsent and self._unsent[0] is data:
                    self._unsent.popleft()

    async def _run(self) -> None:
        pause = Pause()
        while True:
            try:
                async with self._sending:
                    await self._send()
                    self._away = False
                if self._place is None:
                    newest: Any = await self._listener.xrevrange(self._key, count=1)
                    self._place = newest[0][0] if newest else b"0-0"
                    self._listening.set()
                reply: Any = await self._listener.xread({self._key: self._place}, count=1_000, block=int(BLOCK * 1000))
                pause.reset()
            except FAILURES as failure:
                _log.warning("signals_not_heard", reason=str(failure))
                self._listening.set()
                await asyncio.sleep(pause.take())
                continue
            for _, entries in reply:
                for place, fields in entries:
                    self._place = place
                    if fields.get(b"from") != self._me:
                        self._hear(fields.get(b"signal", b""))

    def _hear(self, data: bytes) -> None:
        signal = _decode(data)
        if signal is not None:
            for handler in self._handlers:
                handler(signal)


def _encode(signal: Signal) -> bytes:
    match signal:
        case StopRequested(turn_id):
            return orjson.dumps({"stop": turn_id})
        case LoginsEnded(login_ids):
            return orjson.dumps({"logins_ended": login_ids})


def _decode(data: bytes) -> Signal | None:
    """None for what a worker of another release may say."""
    try:
        match orjson.loads(data):
            case {"stop": int(turn_id)}:
                return StopRequested(turn_id)
            case {"logins_ended": [*login_ids]}:
                return LoginsEnded(tuple(map(str, login_ids)))
    except ValueError:
        pass
    return None
