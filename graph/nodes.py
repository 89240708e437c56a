"""What every type of the schema shares: the Node interface, times, pages of a list, and arguments left out."""

from datetime import UTC, datetime
from typing import TypeVar

import strawberry
from strawberry.types.scalar import ScalarDefinition

from domain.pages import Page

T = TypeVar("T")


@strawberry.interface(description="Anything that `node` can find again by its id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, and unique over all types.")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None

    @classmethod
    def of(cls, page: Page[T]) -> "PageInfo":
        cursors = [edge.cursor for edge in page.edges]
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _from_rfc3339(text: object) -> datetime:
    if not isinstance(text, str):
        raise ValueError("a DateTime is a string")
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a DateTime needs its offset, such as Z")
    return time.astimezone(UTC)


DATE_TIME: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description="A date and time in UTC as RFC 3339 writes it, such as `2026-09-14T08:30:00Z`.",
    serialize=_rfc3339,
    parse_value=_from_rfc3339,
)


def given(value: T | None) -> T | None:
    """An optional argument's value, where one left out and null mean the same."""
    return None if value is strawberry.UNSET else value
