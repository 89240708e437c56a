"""The streams that are open: on each login, to be ended when it ends or expires, and all, to be ended at shutdown."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from domain.errors import DatabaseUnavailable, DeskError, ServiceUnavailable, Unauthenticated
from domain.model import Viewer
from domain.ports import EndedLogins, LoginsEnded, Signal, Signals

End = Callable[[DeskError], None]

LOOK_EVERY = 0.5
"""Seconds between looks for logins that ended."""


class OpenStreams:
    """Belongs to one event loop. A stream registers how to end it; signals from any worker, the clock and `close` do
    so."""

    def __init__(self, signals: Signals) -> None:
        self._ends: defaultdict[str, set[End]] = defaultdict(set)
        self._open: dict[object, End] = {}
        self._closed = False
        self._none_open = asyncio.Event()
        signals.subscribe(self._on_signal)

    @contextmanager
    def watch(self, viewer: Viewer, end: End) -> Iterator[None]:
        """While open, `end` is called with Unauthenticated (at most twice) when the login ends or its token expires;
        and as `attend` says."""
        left = (viewer.expires_at - datetime.now(UTC)).total_seconds()
        expiry = asyncio.get_running_loop().call_later(
            max(left, 0), end, Unauthenticated("The access token has expired.")
        )
        ends = self._ends[viewer.login_id]
        ends.add(end)
        try:
            with self.attend(end):
                yield
        finally:
            expiry.cancel()
            ends.discard(end)
            if not ends:
                self._ends.pop(viewer.login_id, None)

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
