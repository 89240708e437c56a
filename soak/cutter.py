"""A TCP proxy that cuts connections at chosen byte positions.

Counted are cuts of responses that had more bytes to come: at least one byte was in hand and withheld.
"""

import asyncio
import math
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST."""
LONGEST = 9_000
"""Bytes of a response after which it is cut at the latest, if it is: some 100 events."""


@dataclass(frozen=True, slots=True)
class Cut:
    """After so many bytes of the request or the response; `reset` with RST, else with FIN, towards both ends."""

    response: bool
    after: int
    reset: bool


def random_cut(rng: random.Random) -> Cut | None:
    """Most connections are cut; where, is uniform in the logarithm, so as often in the head as in the tenth event."""
    if rng.random() < 0.12:
        return None
    if rng.random() < 0.06:
        return Cut(response=False, after=rng.randint(1, 900), reset=rng.random() < 0.5)
    return Cut(response=True, after=int(math.exp(rng.uniform(0, math.log(LONGEST)))), reset=rng.random() < 0.5)


class Cutter:
    """One proxy in front of one port of the loopback. `plan` says for each new connection how it will be cut."""

    def __init__(self, target: int, plan: Callable[[], Cut | None]) -> None:
        self.target = target
        self.plan = plan
        self.cuts: Counter[str] = Counter()
        self.live: set[_Line] = set()
        self._server: asyncio.Server | None = None

    @property
    def responses_cut(self) -> int:
        return self.cuts["response, RST"] + self.cuts["response, FIN"]

    async def start(self) -> int:
        """The port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Line(self), "127.0.0.1", 0, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    def calm(self) -> None:
        """From now on everything goes through, on the connections that are open too."""
        self.plan = lambda: None
        for line in self.live:
            line.cut = None

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for line in tuple(self.live):
            line.end(reset=True)
        await self._server.wait_closed()


class _Line(asyncio.Protocol):
    """The client's side of one proxied connection, which holds the other side."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self.cut = cutter.plan()
        self._client: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._passed = {False: 0, True: 0}
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast(asyncio.Transport, transport)
        self._cutter.live.add(self)
        self._connecting = asyncio.create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._early.append(data)
        else:
            self._pass_on(data, response=False)

    def connection_lost(self, error: Exception | None) -> None:
        self.end(reset=False)

    def answered(self, data: bytes) -> None:
        self._pass_on(data, response=True)

    def end(self, *, reset: bool) -> None:
        self._cutter.live.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        for transport in (self._client, self._far):
            if transport is not None and not transport.is_closing():
                if reset:
                    cast(socket.socket, transport.get_extra_info("socket")).setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                    )
                    transport.abort()
                else:
                    transport.close()

    async def _connect(self) -> None:
        try:
            far, _ = await asyncio.get_running_loop().create_connection(
                lambda: _FarSide(self), "127.0.0.1", self._cutter.target
            )
        except OSError:
            self._connecting = None
            self.end(reset=True)
            return
        self._connecting = None
        self._far = far
        early, self._early = self._early, []
        for data in early:
            self._pass_on(data, response=False)

    def _pass_on(self, data: bytes, *, response: bool) -> None:
        to = self._client if response else self._far
        if to is None or to.is_closing():
            return
        cut = self.cut
        room = cut.after - self._passed[response] if cut is not None and cut.response is response else len(data)
        self._passed[response] += len(data)
        to.write(data[:room])
        if cut is not None and len(data) > room:
            self._cutter.cuts[f"{'response' if response else 'request'}, {'RST' if cut.reset else 'FIN'}"] += 1
            self.end(reset=cut.reset)


class _FarSide(asyncio.Protocol):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._line.end(reset=error is not None)
