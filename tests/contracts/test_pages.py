"""Pages of lists whose rows come, go and move while somebody reads them: the same on every database."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.engine import Database
from domain.model import ChatSession, Message, User
from domain.pages import Edge, Page, PageRequest
from domain.records import TurnRequest
from tests.stores import LEASE, Stores, outcome, progress

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHANGES = st.lists(
    st.lists(st.tuples(st.sampled_from(("add", "delete", "touch")), st.integers(0, 11)), max_size=3), max_size=8
)
"""What happens before each page but the first."""
ROWS = 8


def on_a_database(url: str, work: Callable[[Stores, User], Awaitable[None]]) -> None:
    """With a user of its own, since the examples of one test share a database."""

    async def run() -> None:
        async with Database.open(url) as database:
            stores = Stores.on(database)
            await work(stores, await stores.user(uuid4().hex))

    asyncio.run(run())


async def walk(
    read: Callable[[PageRequest], Awaitable[Page[int]]],
    size: int,
    backwards: bool,
    changes: list[list[tuple[str, int]]],
    change: Callable[[str, int], Awaitable[None]],
) -> list[int]:
    """The ids on all pages, in the order of reading."""
    seen: list[int] = []
    request, waiting = PageRequest(size, backwards), iter(changes)
    while True:
        page = await read(request)
        seen += [edge.node for edge in (reversed(page.edges) if backwards else page.edges)]
        if not (page.has_previous if backwards else page.has_next):
            return seen
        for kind, place in next(waiting, []):
            await change(kind, place)
        if backwards:
            request = PageRequest(size, True, before=page.edges[0].cursor)
        else:
            request = PageRequest(size, after=page.edges[-1].cursor)


@FEW
@given(size=st.integers(1, 5), backwards=st.booleans(), changes=CHANGES)
def test_a_reader_of_sessions_meets_those_that_stay_once_each(
    database_url: str, size: int, backwards: bool, changes: list[list[tuple[str, int]]]
) -> None:
    async def work(stores: Stores, user: User) -> None:
        there = [(await stores.chat(user, f"{n}")).id for n in range(ROWS)]
        stayed = set(there)

        async def change(kind: str, place: int) -> None:
            if kind == "add":
                there.append((await stores.chat(user, "new")).id)
            elif place < len(there):
                stayed.discard(there[place])
                if kind == "delete":
                    await stores.chats.delete_chat(user.id, there.pop(place))
                else:
                    chat = await stores.get_chat(user.id, there[place])
                    assert chat is not None
                    await stores.answered(chat, user)  # which moves it to the front

        async def read(request: PageRequest) -> Page[int]:
            return ids_of(await stores.chats.list_chats(user.id, request))

        seen = await walk(read, size, backwards, changes, change)
        assert [id for id in seen if id in stayed] == sorted(stayed, reverse=not backwards)
        if not backwards:
            assert len(set(seen)) == len(seen), "what moves to the front was met already, or is missed"

    on_a_database(database_url, work)


@FEW
@given(size=st.integers(1, 5), backwards=st.booleans(), changes=CHANGES)
def test_a_reader_of_messages_meets_those_that_stay_once_each(
    database_url: str, size: int, backwards: bool, changes: list[list[tuple[str, int]]]
) -> None:
    async def work(stores: Stores, user: User) -> None:
        chat, other = await stores.chat(user), await stores.chat(user)
        there = [await stores.answered(chat, user, f"{n}?") for n in range(ROWS // 2)]
        stayed = {id for stored in there for id in (stored.user_message.id, stored.answer.id)}

        async def change(kind: str, place: int) -> None:
            if kind == "add" or place >= len(there):
                await stores.answered(chat, user)
            elif kind == "delete":
                await stores.answered(
                    other, user
                )  # messages go with their chat alone: another's are no business of ours
            else:
                old = there[place]
                stayed.discard(old.answer.id)
                begun = await stores.turns.begin_again(user.id, old.answer.id, TurnRequest(LEASE))
                anew = await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Anew.")))
                assert anew is not None
                stayed.discard(anew.answer.id)
                there[place] = anew

        async def read(request: PageRequest) -> Page[int]:
            pages = await stores.messages.list_messages(user.id, [chat.id, other.id], request)
            return ids_of(pages[chat.id])

        seen = await walk(read, size, backwards, changes, change)
        assert len(set(seen)) == len(seen)
        assert [id for id in seen if id in stayed] == sorted(stayed, reverse=backwards)

    on_a_database(database_url, work)


def ids_of(page: Page[ChatSession] | Page[Message]) -> Page[int]:
    edges = tuple(Edge(edge.node.id, edge.cursor) for edge in page.edges)
    return Page(edges, page.has_next, page.has_previous)
