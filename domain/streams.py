"""The streams that are open: on each login, to be ended when it ends or expires, and all, to be ended at shutdown."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
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
        self._open: dict[object, End] = {}
        self._closed = False
        self._none_open = asyncio.Event()
        signals.subscribe(self._on_signal)

    @contextmanager
    def tenure(self, viewer: Viewer) -> Iterator["Tenure"]:
        """For a connection that carries many streams."""
        tenure = Tenure(self._ends, viewer)
        try:
            yield tenure
        finally:
            tenure.close()

    @contextmanager
    def watch(self, viewer: Viewer, end: End, tenure: "Tenure | None" = None) -> Iterator[None]:
        """While open, `end` is called with Unauthenticated (at most twice) when the login ends or its token expires,
        or that of the `tenure` where the stream has one; and as `attend` says."""
        if tenure is None:
            with self.tenure(viewer) as own, self.watch(viewer, end, own):
                yield
            return
        with tenure.watch(end), self.attend(end):
            yield

    @contextmanager
    def attend(self, end: End) -> Iterator[None]:
        """While open, `end` is called with ServiceUnavailable when the server stops; at once when it does already."""
        key = object()
        self._open[key] = end
        if self._closed:
            end(ServiceUnavailable())
        try:
            yield
        finally:
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


class Tenure:
    """How long the streams of one connection may go on: until the login ends, or the token expires, that the
    connection showed last. Once over it stays over."""

    def __init__(self, ends: defaultdict[str, set[End]], viewer: Viewer) -> None:
        self.viewer = viewer
        self._ends = ends
        self._streams: set[End] = set()
        self._over: DeskError | None = None
        self._begin()

    @contextmanager
    def watch(self, end: End) -> Iterator[None]:
        """While open, `end` is called with Unauthenticated when the tenure is over; at once when it is already."""
        self._streams.add(end)
        if self._over is not None:
            end(self._over)
        try:
            yield
        finally:
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
