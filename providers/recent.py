"""What was used last, kept in memory up to a bound."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by their keys, each of a size of its own, at most `room` together. For threads."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._left = room
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._changing = Lock()

    def get(self, key: K) -> V | None:
        with self._changing:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def keep(self, key: K, value: V, size: int = 1) -> None:
        """Forgets what was used least lately to make room; a value that is too large by itself is not kept."""
        if size > self._room:
            return
        with self._changing:
            before = self._kept.pop(key, None)
            self._kept[key] = value, size
            self._left -= size - (before[1] if before else 0)
            while self._left < 0:
                self._left += self._kept.popitem(last=False)[1][1]

    def clear(self) -> None:
        with self._changing:
            self._kept.clear()
            self._left = self._room
