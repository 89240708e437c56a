"""What was used last, kept in memory up to a bound."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
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
        return self.get_all((key,))[0]

    def get_all(self, keys: Iterable[K]) -> list[V | None]:
        """In the order of asking, None for what is not kept."""
        found: list[V | None] = []
        with self._changing:
            for key in keys:
                if kept := self._kept.get(key):
                    self._kept.move_to_end(key)
                found.append(kept[0] if kept else None)
        return found

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
