"""Keyset pages: a list is read from a cursor, never from an offset, so it stays true while rows come and go.

Semantics of `first`/`after` and `last`/`before` follow the GraphQL Cursor Connections Specification
(Relay); REST's `limit`/`cursor` are `first`/`after`.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from domain.errors import BadUserInput

MAX_PAGE = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    node: T
    cursor: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Edges in the list's own order, whichever end was read from."""

    edges: tuple[Edge[T], ...]
    has_next: bool
    has_previous: bool

    @property
    def items(self) -> tuple[T, ...]:
        return tuple(edge.node for edge in self.edges)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A checked request for a page: `size` in 1..100, from the front, or from the back when `backwards`."""

    size: int
    backwards: bool = False
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(
        cls,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        default: int = 20,
    ) -> "PageRequest":
        """Raises BadUserInput for a size outside 0..100 or for both ends at once."""
        if first is not None and last is not None:
            raise BadUserInput(fields={"last": "give `first` or `last`, not both"})
        name, size = ("last", last) if last is not None else ("first", default if first is None else first)
        if not 0 <= size <= MAX_PAGE:
            raise BadUserInput(fields={name: f"must be between 0 and {MAX_PAGE}"})
        return cls(size, last is not None, after, before)


def encode_cursor(kind: str, *key: Any) -> str:
    """An opaque cursor for the row whose sort key is `key`; `kind` names the list it belongs to."""
    return base64.urlsafe_b64encode(json.dumps([kind, *key], separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str, *types: type) -> tuple[Any, ...]:
    """The sort key that `encode_cursor` was given. Raises BadUserInput for anything else."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, *key = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise BadUserInput(fields={"cursor": "is not a cursor of this list"}) from error
    if found != kind or len(key) != len(types) or any(type(k) is not t for k, t in zip(key, types, strict=True)):
        raise BadUserInput(fields={"cursor": "is not a cursor of this list"})
    return tuple(key)
