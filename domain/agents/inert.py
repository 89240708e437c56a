"""Text made inert: nothing of it that a client could load, follow or run.

What a model or a document says is somebody's text. A link may lead anywhere, and an image tells a stranger what its
address holds as soon as it is shown. So only addresses at the hosts of the documents themselves stay as they are;
others can be read and copied, and no more.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from domain.agents.markup import Link, MarkupReader, Piece, Tag
from domain.knowledge import Passage

WEB = ("http", "https")


def hosts(passages: Iterable[Passage]) -> frozenset[str]:
    """Where the documents of these passages are published."""
    addresses = (_parts(passage.chunk.url) for passage in passages if passage.chunk.url)
    return frozenset(host for scheme, host in addresses if host and scheme in WEB)


def inert(piece: Piece, allowed: Collection[str]) -> str:
    """What is shown of a piece, where `allowed` hosts may be linked to."""
    if isinstance(piece, Tag):
        return ""
    if not isinstance(piece, Link) or (not piece.image and _allowed(piece.address, allowed)):
        return piece.text
    lead = piece.text[: len(piece.text) - len(piece.text.lstrip())]
    address = piece.address.strip().strip("<>").replace("`", "")
    label = inert_text(piece.label, allowed)
    if piece.image or not _has_host(address) or address in label:
        return lead + (label or f"`{address}`")
    return f"{lead}{label} (`{address}`)" if label else f"{lead}`{address}`"


def inert_text(text: str, allowed: Collection[str] = ()) -> str:
    """A whole text."""
    reader = MarkupReader()
    return "".join(inert(piece, allowed) for piece in (*reader.feed(text), *reader.end()))


def _allowed(address: str, allowed: Collection[str]) -> bool:
    scheme, host = _parts(address)
    return scheme in WEB and host in allowed


def _has_host(address: str) -> bool:
    return bool(_parts(address)[1])


@lru_cache(maxsize=2_000)
def _parts(address: str) -> tuple[str, str | None]:
    """Scheme and host; none of either for what cannot be read as an address."""
    written = address.strip().split(" ")[0].strip("<>")
    try:
        parts = urlsplit(f"https://{written}" if written.lower().startswith("www.") else written)
        return parts.scheme.lower(), parts.hostname
    except ValueError:
        return "", None
