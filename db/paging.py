"""Keyset pages of any list: a page begins and ends at a row's sort key, which an index finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from db.engine import ReadSession
from domain.pages import Edge, Page, PageRequest, decode_cursor, encode_cursor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Keyset:
    """A list's order: by `columns`, all descending or all ascending. They are unique together.

    `key` gives the cursor's integers for a row, `values` the columns' values for these integers again (it raises
    BadUserInput for integers that cannot be such).
    """

    kind: str
    columns: tuple[InstrumentedAttribute[Any], ...]
    key: Callable[[Any], tuple[int, ...]]
    values: Callable[..., tuple[Any, ...]]
    descending: bool = False

    def cursor(self, row: Row[*tuple[Any, ...]]) -> str:
        return encode_cursor(self.kind, *self.key(row))

    def place(self, cursor: str) -> tuple[Any, ...]:
        return self.values(*decode_cursor(self.kind, cursor, *(int for _ in self.columns)))

    def behind(self, place: Sequence[Any], *, inclusive: bool = False) -> ColumnElement[bool]:
        return _beyond(self.columns, place, self.descending, inclusive)

    def before(self, place: Sequence[Any], *, inclusive: bool = False) -> ColumnElement[bool]:
        return _beyond(self.columns, place, not self.descending, inclusive)

    def order(self, *, backwards: bool) -> list[ColumnElement[Any]]:
        descending = self.descending is not backwards
        return [column.desc() if descending else column.asc() for column in self.columns]


async def read_page(
    session: ReadSession,
    query: Select[*Ts],
    keyset: Keyset,
    request: PageRequest,
    item: Callable[[Row[*Ts]], T],
) -> Page[T]:
    """The page of `query`'s rows; `item` makes one of a row. Raises BadUserInput for a cursor of another list."""
    after = None if request.after is None else keyset.place(request.after)
    until = None if request.before is None else keyset.place(request.before)
    window = query
    if after is not None:
        window = window.where(keyset.behind(after))
    if until is not None:
        window = window.where(keyset.before(until))
    window = window.order_by(*keyset.order(backwards=request.backwards)).limit(request.size + 1)
    rows = list(await session.execute(window))
    more = len(rows) > request.size
    del rows[request.size :]
    if request.backwards:
        rows.reverse()
    has_previous = request.backwards and more
    if not has_previous and after is not None:
        has_previous = await _any(session, query.where(keyset.before(after, inclusive=True)))
    has_next = not request.backwards and more
    if not has_next and until is not None:
        has_next = await _any(session, query.where(keyset.behind(until, inclusive=True)))
    return Page(tuple(Edge(item(row), keyset.cursor(row)) for row in rows), has_next, has_previous)


async def _any(session: ReadSession, query: Select[*Ts]) -> bool:
    return bool(await session.scalar(select(query.exists())))


def _beyond(
    columns: Sequence[InstrumentedAttribute[Any]], place: Sequence[Any], less: bool, inclusive: bool
) -> ColumnElement[bool]:
    """(a, b) < (x, y), written out so that every database's planner sees the range on `a`."""
    column, value = columns[0], place[0]
    at_most: ColumnElement[bool] = column <= value if less else column >= value
    if len(columns) == 1 and inclusive:
        return at_most
    beyond: ColumnElement[bool] = column < value if less else column > value
    if len(columns) == 1:
        return beyond
    return and_(at_most, or_(beyond, _beyond(columns[1:], place[1:], less, inclusive)))
