"""Inert text: what a client could load or follow is no more than text, unless it leads to the documents' own hosts."""

import pytest

from domain.agents.inert import hosts, inert_text
from domain.knowledge import Chunk, Passage

ALLOWED = {"lib.example"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[page](https://lib.example/a?b=c)", "[page](https://lib.example/a?b=c)"),
        ("https://LIB.example/a", "https://LIB.example/a"),
        ("[page](https://lib.example.evil.example/)", "page (`https://lib.example.evil.example/`)"),
        ("[page](https://lib.example@evil.example/)", "page (`https://lib.example@evil.example/`)"),
        ("[x](javascript:alert(1))", "x"),
        ("[x](//evil.example/a)", "x (`//evil.example/a`)"),
        ("[x](/logout)", "x"),
        ("![pixel](https://lib.example/p.png)", "pixel"),
        ("![](https://evil.example/p.png)", "`https://evil.example/p.png`"),
        ("see www.evil.example now", "see `www.evil.example` now"),
        ("<https://evil.example>", "`https://evil.example`"),
        ("[r]: https://evil.example\n", "r (`https://evil.example`)\n"),
        ('a<iframe src="x"></iframe>b', "ab"),
        ("`curl https://evil.example`", "`curl https://evil.example`"),
        ("[https://evil.example/a](https://evil.example/a)", "`https://evil.example/a`"),
    ],
)
def test_text_is_made_inert(text: str, shown: str) -> None:
    assert inert_text(text, ALLOWED) == shown


def test_hosts_are_those_of_the_documents() -> None:
    urls = ("https://Docs.example/a#b", "file:///etc/passwd", None, "http://[broken")
    found = [Passage(Chunk("c", "d", "a", ("T",), "x", 0, url), 1.0) for url in urls]
    assert hosts(found) == {"docs.example"}
