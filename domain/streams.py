"""The streams that are open on each login, so that all of them can be ended when it ends or expires."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from domain.errors import DeskError, Unauthenticated
from domain.model import Viewer
from domain.ports import LoginsEnded, Signal, Signals

End = Callable[[DeskError], None]


class OpenStreams:
    """Belongs to one event loop. A stream registers how to end it; signals from any worker and the clock do so."""

    def __init__(self, signals: Signals) -> None:
        self._ends: defaultdict[str, set[End]] = defaultdict(set)
        signals.subscribe(self._on_signal)

    @contextmanager
    def watch(self, viewer: Viewer, end: End) -> Iterator[None]:
        """While open, `end` is called with Unauthenticated (at most twice) when the login ends or its token expires."""
        left = (viewer.expires_at - datetime.now(UTC)).total_seconds()
        expiry = asyncio.get_running_loop().call_later(
            max(left, 0), end, Unauthenticated("The access token has expired.")
        )
        ends = self._ends[viewer.login_id]
        ends.add(end)
        try:
            yield
        finally:
            expiry.cancel()
            ends.discard(end)
            if not ends:
                self._ends.pop(viewer.login_id, None)

    def _on_signal(self, signal: Signal) -> None:
        if isinstance(signal, LoginsEnded):
            for login_id in signal.login_ids:
                for end in tuple(self._ends.get(login_id, ())):
                    end(Unauthenticated("This login was ended."))
