"""Keyset pages of any list: a page begins and ends at a row's sort key, which an index finds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from db.columns import LARGEST_ID
from db.engine import ReadSession
from domain.pages import Edge, Page, PageRequest, decode_cursor, encode_cursor

T = TypeVar("T")
R = TypeVar("R", bound=Any)
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

    def edge(self, row: object, item: T) -> Edge[T]:
        return Edge(item, encode_cursor(self.kind, *self.key(row)))

    def place(self, cursor: str | None) -> tuple[Any, ...] | None:
        """Where a cursor stands. Raises BadUserInput for one of another list."""
        if cursor is None:
            return None
        return self.values(*decode_cursor(self.kind, cursor, *(int for _ in self.columns)))

    def behind(self, place: Sequence[Any], *, inclusive: bool = False, of: Any = None) -> ColumnElement[bool]:
        return _beyond(self.columns_of(of), place, self.descending, inclusive)

    def before(self, place: Sequence[Any], *, inclusive: bool = False, of: Any = None) -> ColumnElement[bool]:
        return _beyond(self.columns_of(of), place, not self.descending, inclusive)

    def order(self, *, backwards: bool, of: Any = None) -> list[ColumnElement[Any]]:
        descending = self.descending is not backwards
        return [column.desc() if descending else column.asc() for column in self.columns_of(of)]

    def columns_of(self, of: Any = None) -> tuple[InstrumentedAttribute[Any], ...]:
        """Those of the table, or of another reading (an alias) of it."""
        return self.columns if of is None else tuple(getattr(of, column.key) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Lists(Generic[R]):
    """Many lists: one for each row of `owner` that `which` finds. It holds the rows of `table` for which `held` is true,
    which is also asked of other readings of the table."""

    owner: Any
    which: ColumnElement[bool]
    table: type[R]
    held: Callable[[Any], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class _Window:
    """What lies between the cursors of a request, in the table or another reading of it."""

    keyset: Keyset
    request: PageRequest
    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None

    @classmethod
    def of(cls, keyset: Keyset, request: PageRequest) -> "_Window":
        """Raises BadUserInput."""
        return cls(keyset, request, keyset.place(request.after), keyset.place(request.before))

    def inside(self, of: Any = None) -> list[ColumnElement[bool]]:
        conditions = [self.keyset.behind(self.after, of=of)] if self.after is not None else []
        return conditions + ([self.keyset.before(self.before, of=of)] if self.before is not None else [])

    def left_behind(self, of: Any = None) -> ColumnElement[bool] | None:
        """What a reader comes from: at the cursor that it goes on from, or beyond. None without one."""
        if self.request.backwards:
            return None if self.before is None else self.keyset.behind(self.before, inclusive=True, of=of)
        return None if self.after is None else self.keyset.before(self.after, inclusive=True, of=of)

    def page(self, edges: Iterable[Edge[T]], more: bool, come_from: bool) -> Page[T]:
        """HasNextPage and HasPreviousPage of the GraphQL Cursor Connections Specification, section 5.1: in the direction
        of reading only what lies between the cursors counts, or a reader between two of them would never end."""
        if self.request.backwards:
            return Page(tuple(edges), has_next=come_from, has_previous=more)
        return Page(tuple(edges), has_next=more, has_previous=come_from)


async def read_page(
    session: ReadSession,
    query: Select[*Ts],
    keyset: Keyset,
    request: PageRequest,
    item: Callable[[Row[*Ts]], T],
) -> Page[T]:
    """The page of `query`'s rows, whose first column is what the keyset orders; `item` makes one of a row. Raises
    BadUserInput for a cursor of another list."""
    window = _Window.of(keyset, request)
    wanted = query.where(*window.inside()).order_by(*keyset.order(backwards=request.backwards))
    rows: list[Any] = list(await session.execute(wanted.limit(request.size + 1)))
    more = len(rows) > request.size
    del rows[request.size :]
    if request.backwards:
        rows.reverse()
    left_behind = window.left_behind()
    come_from = left_behind is not None and bool(await session.scalar(select(query.where(left_behind).exists())))
    return window.page((keyset.edge(row[0], item(row)) for row in rows), more, come_from)


async def read_pages(
    session: ReadSession,
    lists: Lists[R],
    keyset: Keyset,
    request: PageRequest,
    item: Callable[[R], T],
) -> dict[int, Page[T]]:
    """The same page of many lists, by their owners' ids, in one statement. The keyset ascends, and begins with an id.
    Raises BadUserInput for a cursor of another list.

    Each list's first row past the page is looked up in the index, and what lies before it is joined: to number the rows
    of every list would read them all (50 lists of 600 rows, SQLite: 1 ms against 120).
    """
    window = _Window.of(keyset, request)
    table = lists.table
    past, probe, passed = aliased(table), aliased(table), aliased(table)
    first_past = (
        select(probe.id)
        .where(lists.held(probe), *window.inside(probe))
        .order_by(*keyset.order(backwards=request.backwards, of=probe))
        .limit(1)
        .offset(request.size)
        .correlate_except(probe)
        .scalar_subquery()
    )
    left_behind = window.left_behind(passed)
    behind = select(passed.id).where(lists.held(passed), left_behind) if left_behind is not None else None
    query = (
        select(lists.owner.id, past.id, false() if behind is None else behind.correlate_except(passed).exists(), table)
        .select_from(lists.owner)
        .outerjoin(past, past.id == first_past)
        .outerjoin(table, and_(lists.held(table), *window.inside(), *_short_of(keyset, past, request.backwards)))
        .where(lists.which)
        .order_by(*keyset.order(backwards=False))
    )
    found: dict[int, tuple[list[Edge[T]], bool, bool]] = {}
    for list_id, past_id, come, row in await session.execute(query):
        edges, _, _ = found.setdefault(list_id, ([], past_id is not None, bool(come)))
        if row is not None:
            edges.append(keyset.edge(row, item(row)))
    return {list_id: window.page(*page) for list_id, page in found.items()}


def _short_of(keyset: Keyset, past: Any, backwards: bool) -> Iterator[ColumnElement[bool]]:
    """Not as far as `past`, or anywhere without one. The first condition is for the index, which cannot use an OR."""
    column, bounds = keyset.columns[0], keyset.columns_of(past)
    yield column >= func.coalesce(bounds[0], 0) if backwards else column <= func.coalesce(bounds[0], LARGEST_ID)
    yield or_(past.id.is_(None), keyset.behind(bounds) if backwards else keyset.before(bounds))


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
