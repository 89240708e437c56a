"""How many streams and sockets each user and each client address holds open here, and how many they may.

The counts are this process's: they keep its memory and its file descriptors for everybody, and cost nothing to ask.
What is counted is given back in a `with`, so nothing has to be remembered or swept.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from domain.addresses import address_key
from domain.errors import RateLimited

RETRY_AFTER = 5
"""Seconds: a place becomes free when a stream ends, which nobody knows beforehand."""


@dataclass(frozen=True, slots=True)
class PlaceLimits:
    """An address may be a whole office's, so it has more than a user."""

    streams_per_user: int = 500
    streams_per_address: int = 2_000
    sockets_per_address: int = 2_000


class Places:
    """Belongs to one event loop. An unknown address ("") is not counted: it would be everybody's."""

    def __init__(self, limits: PlaceLimits) -> None:
        self._limits = limits
        self._taken: Counter[tuple[str, str]] = Counter()

    @property
    def taken(self) -> int:
        """How many counts are not zero."""
        return len(self._taken)

    @contextmanager
    def stream(self, user_id: int, address: str) -> Iterator[None]:
        """A place for one stream of a turn's events, on whichever transport. Raises RateLimited."""
        with self._hold(self._stream_counts(user_id, address)):
            yield

    @contextmanager
    def socket(self, address: str) -> Iterator[None]:
        """A place for one WebSocket, signed in or not. Raises RateLimited."""
        with self._hold(_of_address("sockets", address, self._limits.sockets_per_address)):
            yield

    def require_stream(self, user_id: int, address: str) -> None:
        """Raises RateLimited when there is no place for a stream just now: for who has to answer before it begins."""
        self._require(self._stream_counts(user_id, address))

    def _stream_counts(self, user_id: int, address: str) -> dict[tuple[str, str], int]:
        mine = {("streams", f"user {user_id}"): self._limits.streams_per_user}
        return mine | _of_address("streams", address, self._limits.streams_per_address)

    def _require(self, limits: dict[tuple[str, str], int]) -> None:
        for key, limit in limits.items():
            if self._taken[key] >= limit:
                raise RateLimited(RETRY_AFTER)

    @contextmanager
    def _hold(self, limits: dict[tuple[str, str], int]) -> Iterator[None]:
        self._require(limits)
        for key in limits:
            self._taken[key] += 1
        try:
            yield
        finally:
            for key in limits:
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]


def _of_address(kind: str, address: str, limit: int) -> dict[tuple[str, str], int]:
    return {(kind, address_key(address)): limit} if address else {}
