"""Reading index files, of which some stay open in between: to open one costs several times what a search does."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from domain.knowledge import Reader
from providers.index_file import IndexFile, View, connect

KEPT_OPEN = 4
"""How many connections to one file stay open while nobody reads."""


class NotIndexedError(Exception):
    """There is no file, or one that was made by another version: the knowledge base has to be indexed."""


class IndexReaders:
    """For threads."""

    def __init__(self) -> None:
        self._idle: defaultdict[Path, list[tuple[_Identity, sqlite3.Connection]]] = defaultdict(list)
        self._changing = Lock()

    @contextmanager
    def reading(self, path: Path, reader: Reader) -> Iterator[tuple[IndexFile, View]]:
        """One consistent state, and what of it the reader may see. Raises NotIndexedError and sqlite3.Error."""
        identity = _identity(path)
        connection = self._taken(path, identity) or connect(f"{path.resolve().as_uri()}?mode=rw")
        try:
            connection.execute("BEGIN")
            index = IndexFile(connection)
            view = index.view(reader.username)
            if view is None:
                raise NotIndexedError(path.name)
            yield index, view
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._put_back(path, identity, connection)

    def close(self) -> None:
        with self._changing:
            for idle in self._idle.values():
                for _, connection in idle:
                    connection.close()
            self._idle.clear()

    def _taken(self, path: Path, identity: "_Identity") -> sqlite3.Connection | None:
        """One that is open to this very file, and not to one that stood at its place before."""
        with self._changing:
            idle = self._idle[path]
            while idle:
                found, connection = idle.pop()
                if found == identity:
                    return connection
                connection.close()
        return None

    def _put_back(self, path: Path, identity: "_Identity", connection: sqlite3.Connection) -> None:
        with self._changing:
            if len(self._idle[path]) < KEPT_OPEN:
                self._idle[path].append((identity, connection))
                return
        connection.close()


_Identity = tuple[int, int]


def _identity(path: Path) -> _Identity:
    """Tells a file from another at the same place. Raises NotIndexedError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotIndexedError(path.name) from None
    return found.st_dev, found.st_ino
