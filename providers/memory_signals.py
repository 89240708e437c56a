"""Signals of a single process: a call to each handler."""

from collections.abc import Callable

from domain.ports import Signal, Signals


class MemorySignals(Signals):
    def __init__(self) -> None:
        self._handlers: list[Callable[[Signal], None]] = []

    async def publish(self, signal: Signal) -> None:
        for handler in self._handlers:
            handler(signal)

    def subscribe(self, handler: Callable[[Signal], None]) -> None:
        self._handlers.append(handler)
