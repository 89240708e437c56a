"""The real server under the name that tests/test_five_questions.py knows it by: see tests/live_server.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live_server import live_server


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[str]:
    """The server's address, once it answers. `folder` is not used: the server has a data folder of its own."""
    with live_server(settings) as url:
        yield url
