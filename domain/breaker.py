"""A circuit breaker: who fails again and again is left alone for a while. For one event loop."""

import time


class Breaker:
    """Opens after `limit` failures with no answer between them, for `pause` seconds. Then one call is let through, the
    probe, and no other until it has ended: an answer closes the breaker, a failure begins another pause."""

    def __init__(self, limit: int, pause: float) -> None:
        self._limit = limit
        self.pause = pause
        self._failures = 0
        self._until = 0.0
        self._probe: Call | None = None

    @property
    def open(self) -> bool:
        return self._failures >= self._limit

    @property
    def remaining(self) -> float:
        """Seconds until a probe may be made; 0 when one is overdue, or under way."""
        return max(0.0, self._until - time.monotonic()) if self.open else 0.0

    @property
    def admits(self) -> bool:
        """Whether a call may be made."""
        return not self.open or not (self._probe or self.remaining)

    def admit(self) -> "Call | None":
        """One call, which must be told how it ended; None while none may be made."""
        if not self.admits:
            return None
        call = Call(self)
        if self.open:
            self._probe = call
        return call

    def _answered(self) -> bool:
        was_open, self._failures, self._probe = self.open, 0, None
        return was_open

    def _failed(self, call: "Call") -> bool:
        if self.open and self._probe is not call:  # begun before it opened
            return False
        self._failures += 1
        if self.open:
            self._until = time.monotonic() + self.pause
        self._left(call)
        return self.open

    def _left(self, call: "Call") -> None:
        if self._probe is call:
            self._probe = None


class Call:
    """What becomes of one call. It is told once at least; `left` means nothing after the others."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def answered(self) -> bool:
        """Returns whether this closed the breaker."""
        return self._breaker._answered()

    def failed(self) -> bool:
        """Returns whether this opened the breaker, or began another pause."""
        return self._breaker._failed(self)

    def left(self) -> None:
        """Given up before anything was known."""
        self._breaker._left(self)
