"""The streams that are open: on each login, to be ended when it ends or expires, and all, to be ended at shutdown."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from domain.errors import DatabaseUnavailable, DeskError, Forbidden, ServiceUnavailable, Unauthenticated
from domain.model import Viewer
from domain.places import PlaceLimits, Places
from domain.ports import EndedLogins, LoginsEnded, Signal, Signals

End = Callable[[DeskError], None]

LOOK_EVERY = 0.5
"""Seconds between looks for logins that ended."""


class OpenStreams:
    """Belongs to one event loop. A stream registers how to end it; signals from any worker, the clock and `close` do
    so. `places` says how many there may be."""

    def __init__(self, signals: Signals, limits: PlaceLimits | None = None) -> None:
        self.places = Places(limits or PlaceLimits())
        self._ends: defaultdict[str, set[End]] = defaultdict(set)
        self._open: dict[Open, End] = {}
        self._closed = False
        self._none_open = asyncio.Event()
        signals.subscribe(self._on_signal)

    def tenure(self, viewer: Viewer) -> "Tenure":
        """For a connection that carries many streams; to be closed with it."""
        return Tenure(self._ends, viewer)

    def watch(self, viewer: Viewer, end: End, tenure: "Tenure | None" = None) -> "Open":
        """While open, `end` is called with Unauthenticated (at most twice) when the login ends or its token expires,
        or that of the `tenure` where the stream has one; and as `attend` says."""
        return Open(self, end, tenure or self.tenure(viewer), owned=tenure is None)

    def attend(self, end: End) -> "Open":
        """While open, `end` is called with ServiceUnavailable when the server stops; at once when it does already."""
        return Open(self, end)

    def opened(self, key: "Open", end: End) -> None:
        self._open[key] = end
        if self._closed:
            end(ServiceUnavailable())

    def left(self, key: "Open") -> None:
        del self._open[key]
        if not self._open:
            self._none_open.set()

    async def close(self) -> None:
        """Ends all that are open, and each that is opened from now on; returns when none is."""
        self._closed = True
        for end in tuple(self._open.values()):
            end(ServiceUnavailable())
        while self._open:
            self._none_open.clear()
            await self._none_open.wait()

    async def look_for_ended(self, logins: EndedLogins) -> None:
        """For ever: ends the streams of logins that ended elsewhere without a signal that came through. One question
        for all open logins, and none while nothing is open."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(DatabaseUnavailable):
                if self._ends:
                    self._end(await logins.ended(tuple(self._ends)))

    def _on_signal(self, signal: Signal) -> None:
        if isinstance(signal, LoginsEnded):
            self._end(signal.login_ids)

    def _end(self, login_ids: Iterable[str]) -> None:
        for login_id in login_ids:
            for end in tuple(self._ends.get(login_id, ())):
                end(Unauthenticated("This login was ended."))


class Open:
    """A stream or a connection, while it is entered. No generator: there is one for each stream, for as long as it is
    open. An `owned` tenure ends with it."""

    __slots__ = ("_end", "_owned", "_streams", "_tenure")

    def __init__(self, streams: OpenStreams, end: End, tenure: "Tenure | None" = None, owned: bool = False) -> None:
        self._streams = streams
        self._end = end
        self._tenure = tenure
        self._owned = owned

    def __enter__(self) -> None:
        if self._tenure is not None:
            self._tenure.watch(self._end)
        self._streams.opened(self, self._end)

    def __exit__(self, *raised: object) -> None:
        self._streams.left(self)
        if self._tenure is not None:
            self._tenure.leave(self._end)
            if self._owned:
                self._tenure.close()


class Tenure:
    """How long the streams of one connection may go on: until the login ends, or the token expires, that the
    connection showed last. Once over it stays over."""

    def __init__(self, ends: defaultdict[str, set[End]], viewer: Viewer) -> None:
        self.viewer = viewer
        self._ends = ends
        self._streams: set[End] = set()
        self._over: DeskError | None = None
        self._begin()

    def watch(self, end: End) -> None:
        """`end` is called with Unauthenticated when the tenure is over; at once when it is already."""
        self._streams.add(end)
        if self._over is not None:
            end(self._over)

    def leave(self, end: End) -> None:
        self._streams.discard(end)

    def renew(self, viewer: Viewer) -> None:
        """Goes on under a newer token. Raises Forbidden when it is another user's."""
        if viewer.user_id != self.viewer.user_id:
            raise Forbidden("A connection stays with the user who opened it.")
        self.close()
        self.viewer = viewer
        self._begin()

    def close(self) -> None:
        self._expiry.cancel()
        ends = self._ends[self.viewer.login_id]
        ends.discard(self._end)
        if not ends:
            del self._ends[self.viewer.login_id]

    def _begin(self) -> None:
        left = (self.viewer.expires_at - datetime.now(UTC)).total_seconds()
        expired = Unauthenticated("The access token has expired.")
        self._expiry = asyncio.get_running_loop().call_later(max(left, 0), self._end, expired)
        self._ends[self.viewer.login_id].add(self._end)

    def _end(self, error: DeskError) -> None:
        self._over = error
        for end in tuple(self._streams):
            end(error)
