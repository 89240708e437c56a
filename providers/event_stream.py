"""Server-sent events as chat completions come in: bytes of any cut in, the `data` of whole events out.

After https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, as far as OpenAI's
streams need it: comments and the fields `event`, `id` and `retry` are passed over.
"""

from collections.abc import Iterable

LONGEST = 1_048_576
"""Bytes of one event. The longest that a model sends, with log probabilities and filter results, take some KB."""


class EventTooLongError(Exception):
    """An event is longer than any that a model sends."""


class EventReader:
    """One response's. What is left when the response ends was no whole event, and counts for nothing."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._rest = bytearray()
        """The beginning of the line that is not whole yet."""
        self._data: list[bytes] = []
        self._data_size = 0

    def feed(self, read: bytes) -> list[bytes]:
        """The data of each event that ends in this read. Raises EventTooLongError when what was kept before it, of an
        event that did not end, is longer than `longest`."""
        if len(self._rest) + self._data_size > self._longest:
            raise EventTooLongError(f"an event of more than {self._longest} bytes")
        if read.startswith(b"data: ") and read.find(b"\n") == len(read) - 2 and read.endswith(b"\n\n"):
            if not self._rest and not self._data and b"\r" not in read and len(read) > 8:
                return [read[6:-2]]  # just one event, which is what most reads are
        elif b"\n" not in read and b"\r" not in read:
            self._rest += read
            return []
        return list(self._events(self._lines(read)))

    def _lines(self, read: bytes) -> list[bytes]:
        """The lines that end in this read."""
        if self._rest:
            read = bytes(self._rest + read)
        if b"\r" in read:
            read, held = (read[:-1], b"\r") if read.endswith(b"\r") else (read, b"")
            *lines, rest = read.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            # A carriage return at the very end may be half of a line end; the next byte tells.
            rest += held
        else:
            *lines, rest = read.split(b"\n")
        self._rest = bytearray(rest)
        return lines

    def _events(self, lines: Iterable[bytes]) -> Iterable[bytes]:
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._data_size += len(line)
            elif line == b"data":
                self._data.append(b"")
                self._data_size += len(line)
            elif not line and self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data.clear()
                self._data_size = 0
                if data:
                    yield data
