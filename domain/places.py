"""How many streams and sockets each user and each client address holds open here, and how many they may.

The counts are this process's: they keep its memory and its file descriptors for everybody, and cost nothing to ask.
What is counted is given back in a `with`, so nothing has to be remembered or swept.
"""

from collections import Counter
from dataclasses import dataclass

from domain.addresses import address_key
from domain.errors import RateLimited

Limits = dict[tuple[str, str], int]
"""Of counts, by what they count and for whom."""
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

    def stream(self, user_id: int, address: str) -> "Place":
        """A place for one stream of a turn's events, on whichever transport. Raises RateLimited when it is entered."""
        return Place(self, self._stream_counts(user_id, address))

    def socket(self, address: str) -> "Place":
        """A place for one WebSocket, signed in or not. Raises RateLimited when it is entered."""
        return Place(self, _of_address("sockets", address, self._limits.sockets_per_address))

    def require_stream(self, user_id: int, address: str) -> None:
        """Raises RateLimited when there is no place for a stream just now: for who has to answer before it begins."""
        self.require(self._stream_counts(user_id, address))

    def _stream_counts(self, user_id: int, address: str) -> Limits:
        mine: Limits = {("streams", f"user {user_id}"): self._limits.streams_per_user}
        return mine | _of_address("streams", address, self._limits.streams_per_address)

    def require(self, limits: Limits) -> None:
        """Raises RateLimited when one of these counts is as high as it may be."""
        for key, limit in limits.items():
            if self._taken[key] >= limit:
                raise RateLimited(RETRY_AFTER)

    def take(self, limits: Limits) -> None:
        self.require(limits)
        for key in limits:
            self._taken[key] += 1

    def give_back(self, limits: Limits) -> None:
        for key in limits:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


class Place:
    """What is counted while it is entered. No generator: there is one for each stream, for as long as it is open."""

    __slots__ = ("_limits", "_places")

    def __init__(self, places: Places, limits: Limits) -> None:
        self._places = places
        self._limits = limits

    def __enter__(self) -> None:
        self._places.take(self._limits)

    def __exit__(self, *raised: object) -> None:
        self._places.give_back(self._limits)


def _of_address(kind: str, address: str, limit: int) -> Limits:
    return {(kind, address_key(address)): limit} if address else {}
