"""The suite of the ChatStore port."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from db.tables import ChatRow, MessageRow, SourceRow, TurnRow
from domain.chats import DEFAULT_TITLE
from domain.errors import BadUserInput, NotFound
from domain.model import ChatSession, User
from domain.pages import Page, PageRequest, encode_cursor
from domain.records import TurnRequest
from tests.stores import LEASE, NOBODYS_IDS, RAN_OUT, UNICODE, Stores, outcome, progress, source

ALL = PageRequest(100)


async def listed(stores: Stores, user: User, search: str | None = None) -> list[str]:
    return [chat.title for chat in (await stores.chats.list_chats(user.id, ALL, search)).items]


async def pages(stores: Stores, user: User, size: int, backwards: bool) -> list[Page[ChatSession]]:
    """The whole list, page by page."""
    walked = []
    after = before = None
    while True:
        request = PageRequest(size, backwards, after, before)
        page = await stores.chats.list_chats(user.id, request)
        walked.append(page)
        if not (page.has_previous if backwards else page.has_next):
            return walked
        after = None if backwards else page.edges[-1].cursor
        before = page.edges[0].cursor if backwards else None


async def with_ties(stores: Stores, user: User) -> list[int]:
    """Makes seven chats, most of them last active at the same microsecond; returns their ids in the list's order."""
    chats = [await stores.chat(user, f"Chat {n}") for n in range(7)]
    same = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    times = {chat.id: same for chat in chats}
    times[chats[2].id] = same + timedelta(microseconds=1)
    times[chats[5].id] = same - timedelta(microseconds=1)
    async with stores.database.write() as session:
        for chat_id, time in times.items():
            await session.execute(update(ChatRow).where(ChatRow.id == chat_id).values(updated_at=time))
    return sorted(times, key=lambda chat_id: (times[chat_id], chat_id), reverse=True)


async def test_a_chat_as_it_is_made(stores: Stores, alice: User) -> None:
    before = datetime.now(UTC)
    chat = await stores.chat(alice, "Taxes")
    assert (chat.title, chat.active_turn_id) == ("Taxes", None)
    assert before <= chat.created_at == chat.updated_at <= datetime.now(UTC)
    assert await stores.get_chat(alice.id, chat.id) == chat
    assert (await stores.chats.list_chats(alice.id, ALL)).items == (chat,)


@pytest.mark.parametrize("title", UNICODE)
async def test_a_title_is_kept_to_the_letter(stores: Stores, alice: User, title: str) -> None:
    chat = await stores.chat(alice, title)
    assert await stores.get_chat(alice.id, chat.id) == chat
    assert chat.title == title
    assert await listed(stores, alice, search=title) == [title]


async def test_somebody_elses_chat_is_like_a_missing_one(stores: Stores, alice: User, bob: User) -> None:
    chat = await stores.chat(alice)
    for user_id, chat_id in [(bob.id, chat.id), *((alice.id, chat_id) for chat_id in NOBODYS_IDS)]:
        assert await stores.get_chat(user_id, chat_id) is None
        assert await stores.chats.rename_chat(user_id, chat_id, "Mine now") is None
        assert await stores.chats.delete_chat(user_id, chat_id) is False
    assert await listed(stores, bob) == []
    assert await stores.get_chat(alice.id, chat.id) == chat


async def test_the_running_turn_is_named(stores: Stores, alice: User) -> None:
    chat = await stores.chat(alice)
    begun = await stores.begin(chat, alice)
    found = await stores.get_chat(alice.id, chat.id)
    assert found is not None
    assert found.active_turn_id == begun.turn.id
    assert (await stores.chats.list_chats(alice.id, ALL)).items == (found,)
    renamed = await stores.chats.rename_chat(alice.id, chat.id, "Renamed")
    assert renamed is not None
    assert renamed.active_turn_id == begun.turn.id
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Yes.")))
    found = await stores.get_chat(alice.id, chat.id)
    assert found is not None
    assert found.active_turn_id is None


async def test_activity_moves_a_chat_up_and_renaming_does_not(stores: Stores, alice: User) -> None:
    chats = [await stores.chat(alice, title) for title in "abc"]
    assert await listed(stores, alice) == ["c", "b", "a"]
    await stores.chats.rename_chat(alice.id, chats[1].id, "B")
    assert await listed(stores, alice) == ["c", "B", "a"]
    begun = await stores.begin(chats[0], alice)
    assert await listed(stores, alice) == ["a", "c", "B"]
    await stores.answered(chats[1], alice)
    assert await listed(stores, alice) == ["B", "a", "c"]
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Yes.")))
    assert await listed(stores, alice) == ["a", "B", "c"]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
async def test_pages_hold_each_chat_once_and_in_order(
    stores: Stores, alice: User, bob: User, size: int, backwards: bool
) -> None:
    await stores.chat(bob, "Not hers")
    order = await with_ties(stores, alice)
    walked = await pages(stores, alice, size, backwards)
    in_order = reversed(walked) if backwards else walked
    assert [chat.id for page in in_order for chat in page.items] == order
    assert len(walked) == -(-len(order) // size)
    come_from = [page.has_next if backwards else page.has_previous for page in walked]
    assert come_from == [False] + [True] * (len(walked) - 1)


async def test_a_window_between_two_cursors(stores: Stores, alice: User) -> None:
    await with_ties(stores, alice)
    edges = (await stores.chats.list_chats(alice.id, ALL)).edges
    window = PageRequest(100, after=edges[1].cursor, before=edges[5].cursor)
    page = await stores.chats.list_chats(alice.id, window)
    assert page == Page(edges[2:5], has_next=False, has_previous=True)
    last_two = PageRequest(2, backwards=True, after=edges[1].cursor, before=edges[5].cursor)
    assert await stores.chats.list_chats(alice.id, last_two) == Page(edges[3:5], has_next=True, has_previous=True)
    assert await stores.chats.list_chats(alice.id, PageRequest(0)) == Page((), has_next=True, has_previous=False)


async def test_a_cursor_outlives_its_chat(stores: Stores, alice: User) -> None:
    await with_ties(stores, alice)
    edges = (await stores.chats.list_chats(alice.id, ALL)).edges
    await stores.chats.delete_chat(alice.id, edges[0].node.id)
    page = await stores.chats.list_chats(alice.id, PageRequest(2, after=edges[0].cursor))
    assert page == Page(edges[1:3], has_next=True, has_previous=False)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "\u00e9",
        encode_cursor("messages", 1),
        encode_cursor("chats", 1),
        encode_cursor("chats", "1", 1),
        encode_cursor("chats", 10**30, 1),
        encode_cursor("chats", -(10**17), 1),
    ],
)
async def test_a_cursor_of_anything_else_is_refused(stores: Stores, alice: User, cursor: str) -> None:
    for request in (PageRequest(5, after=cursor), PageRequest(5, backwards=True, before=cursor)):
        with pytest.raises(BadUserInput):
            await stores.chats.list_chats(alice.id, request)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("REFUND", ["Tax refund"]),
        ("straSSe", ["Große Straße"]),
        ("ΣΙΣ", ["σισ"]),
        ("100%", ["100% off"]),
        ("%", ["100% off"]),
        ("_", ["snake_case"]),
        ("/", ["and/or \\ not"]),
        ("\\", ["and/or \\ not"]),
        ("🏽", ["👩🏽‍🚀 go"]),
        ("É", ["Cafe\u0301", "résumé"]),
        ("resume", []),
        ("x%x", []),
    ],
)
async def test_search_takes_every_character_as_itself(
    stores: Stores, alice: User, bob: User, search: str, found: list[str]
) -> None:
    titles = [
        "Tax refund",
        "Große Straße",
        "σισ",
        "100% off",
        "snake_case",
        "and/or \\ not",
        "👩🏽‍🚀 go",
        "Cafe\u0301",
        "résumé",
    ]
    for title in titles:
        await stores.chat(alice, title)
        await stores.chat(bob, title)
    assert sorted(await listed(stores, alice, search)) == sorted(found)


async def test_search_is_paged_and_follows_a_new_title(stores: Stores, alice: User) -> None:
    chats = [await stores.chat(alice, f"{'even' if n % 2 == 0 else 'odd'} {n}") for n in range(6)]
    first = await stores.chats.list_chats(alice.id, PageRequest(2), "EVEN")
    assert [chat.title for chat in first.items] == ["even 4", "even 2"]
    second = await stores.chats.list_chats(alice.id, PageRequest(2, after=first.edges[-1].cursor), "EVEN")
    assert [chat.title for chat in second.items] == ["even 0"]
    assert (first.has_next, second.has_next, second.has_previous) == (True, False, True)
    await stores.chats.rename_chat(alice.id, chats[0].id, "odd now")
    assert await listed(stores, alice, "even") == ["even 4", "even 2"]


async def test_the_first_message_names_a_chat_that_has_no_title_of_its_own(stores: Stores, alice: User) -> None:
    unnamed = await stores.chat(alice, DEFAULT_TITLE)
    renamed = await stores.chat(alice, DEFAULT_TITLE)
    await stores.chats.rename_chat(alice.id, renamed.id, DEFAULT_TITLE)
    for chat in (unnamed, renamed, await stores.chat(alice, "Her own")):
        await stores.answered(chat, alice)
    assert sorted(await listed(stores, alice)) == ["From the message", "Her own", DEFAULT_TITLE]
    assert await listed(stores, alice, "from the MESSAGE") == ["From the message"]
    await stores.turns.begin_turn(alice.id, unnamed.id, "More", (), "Another title", TurnRequest(LEASE))
    assert "From the message" in await listed(stores, alice)


async def test_a_chat_is_deleted_with_all_that_is_in_it(stores: Stores, alice: User) -> None:
    chat, kept = await stores.chat(alice), await stores.chat(alice)
    await stores.answered(kept, alice)
    await stores.answered(chat, alice)
    begun = await stores.begin(chat, alice)
    written = progress(begun, "Some [1]", source(begun, 1, (5, 8)))
    assert await stores.save(begun.turn.id, written)
    assert await stores.chats.delete_chat(alice.id, chat.id)
    assert not await stores.chats.delete_chat(alice.id, chat.id)
    assert not await stores.save(begun.turn.id, written)
    assert await stores.turns.finish_turn(begun.turn.id, outcome(written)) is None
    with pytest.raises(NotFound):
        await stores.begin(chat, alice)
    async with stores.database.read() as session:
        left = [
            await session.scalar(select(func.count()).select_from(t)) for t in (ChatRow, TurnRow, MessageRow, SourceRow)
        ]
    assert left == [1, 1, 2, 0]


async def test_an_id_is_never_given_twice(stores: Stores, alice: User) -> None:
    chat = await stores.chat(alice)
    begun = await stores.begin(chat, alice, lease=RAN_OUT)
    await stores.chats.delete_chat(alice.id, chat.id)
    again = await stores.chat(alice)
    begun_again = await stores.begin(again, alice)
    assert again.id > chat.id
    assert begun_again.turn.id > begun.turn.id
    assert begun_again.user_message.id > begun.answer.id
