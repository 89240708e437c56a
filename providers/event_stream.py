"""Server-sent events as chat completions come in: bytes of any cut in, the `data` of whole events out.

After https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, as far as OpenAI's
streams need it: comments and the fields `event`, `id` and `retry` are passed over.
"""

from collections.abc import Iterable


class EventReader:
    """One response's. What is left when the response ends was no whole event, and counts for nothing."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        """The beginning of the line that is not whole yet, in pieces: joined once, however many reads it takes."""
        self._data: list[bytes] = []

    def feed(self, read: bytes) -> list[bytes]:
        """The data of each event that ends in this read."""
        if b"\n" not in read and b"\r" not in read:
            self._rest.append(read)
            return []
        if self._rest:
            read = b"".join((*self._rest, read))
        if b"\r" in read:
            read, held = (read[:-1], b"\r") if read.endswith(b"\r") else (read, b"")
            *lines, rest = read.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            # A carriage return at the very end may be half of a line end; the next byte tells.
            rest += held
        else:
            *lines, rest = read.split(b"\n")
        self._rest = [rest] if rest else []
        return list(self._events(lines))

    def _events(self, lines: Iterable[bytes]) -> Iterable[bytes]:
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._data.append(b"")
            elif not line and self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data.clear()
                if data:
                    yield data
