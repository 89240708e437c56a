"""What a viewer can do with chats, over real stores."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from db.accounts import SqlAccountStore
from db.chats import SqlChatStore
from db.engine import Database
from db.messages import SqlMessageStore
from db.turns import SqlTurnStore
from domain.chats import Chats
from domain.errors import BadUserInput, NotFound
from domain.model import Rating, Role, Source, Turn, TurnStatus, Viewer
from domain.pages import PageRequest
from domain.records import BegunTurn, TurnOutcome, TurnProgress, TurnRequest

IMPOSSIBLE_IDS = [0, -1, 2**63, 10**40]
PAGE = PageRequest.of()
LEASE = timedelta(seconds=30)


@dataclass
class Desk:
    """The service, what it stands on, and the turns that it had stopped."""

    database: Database
    stopped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turns = SqlTurnStore(self.database)
        self.chats = Chats(SqlChatStore(self.database), SqlMessageStore(self.database), self.stop)

    async def viewer(self, name: str) -> Viewer:
        user = await SqlAccountStore(self.database).create_user(name, f"{name}@desk.test", "!")
        return Viewer(user.id, name, f"login of {name}", datetime.now(UTC) + timedelta(hours=1))

    async def stop(self, viewer: Viewer, turn_id: int) -> Turn:
        self.stopped.append(turn_id)
        stored = await self.turns.load_turn(viewer.user_id, turn_id)
        assert stored is not None, "stopped while it is there"
        await self.end(turn_id, TurnStatus.STOPPED)
        return stored.turn

    async def begin(self, viewer: Viewer, chat_id: int, text: str = "How much is Nano?") -> BegunTurn:
        return await self.turns.begin_turn(viewer.user_id, chat_id, text, [], text, TurnRequest(LEASE))

    async def end(self, turn_id: int, status: TurnStatus = TurnStatus.COMPLETED, *sources: Source) -> None:
        progress = TurnProgress("It is $9 [1].", "", None, (), sources)
        assert await self.turns.finish_turn(turn_id, TurnOutcome(status, progress, None, None))

    async def answered(self, viewer: Viewer, chat_id: int) -> BegunTurn:
        begun = await self.begin(viewer, chat_id)
        source = Source(begun.answer.id, 1, "pricing", "plans", "Plans", None, "Nano costs $9.", 1.5)
        await self.end(begun.turn.id, TurnStatus.COMPLETED, source)
        return begun


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
async def ada(desk: Desk) -> Viewer:
    return await desk.viewer("ada")


@pytest.fixture
async def eve(desk: Desk) -> Viewer:
    return await desk.viewer("eve")


# ---------------------------------------------------------------- chats


async def test_a_chat_is_created_read_renamed_and_deleted(desk: Desk, ada: Viewer) -> None:
    made = await desk.chats.create(ada, "  Plans ")
    assert made.title == "Plans"
    assert await desk.chats.get(ada, made.id) == made
    renamed = await desk.chats.rename(ada, made.id, " Prices ")
    assert (renamed.id, renamed.title) == (made.id, "Prices")
    assert (await desk.chats.get(ada, made.id)).title == "Prices"
    await desk.chats.delete(ada, made.id)
    with pytest.raises(NotFound):
        await desk.chats.get(ada, made.id)
    assert desk.stopped == []


async def test_a_chat_without_a_title_is_named_by_its_first_message(desk: Desk, ada: Viewer) -> None:
    plain, named = await desk.chats.create(ada), await desk.chats.create(ada, "Mine")
    assert plain.title == "New chat"
    for chat in (plain, named):
        await desk.begin(ada, chat.id, "How much is Nano?")
    assert (await desk.chats.get(ada, plain.id)).title == "How much is Nano?"
    assert (await desk.chats.get(ada, named.id)).title == "Mine"


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", "t" * 201, "half \ud83e", "nul \0"])
async def test_a_title_that_does_not_fit(desk: Desk, ada: Viewer, title: str) -> None:
    chat = await desk.chats.create(ada, "Fine")
    for call in (desk.chats.create(ada, title), desk.chats.rename(ada, chat.id, title)):
        with pytest.raises(BadUserInput) as caught:
            await call
        assert set(caught.value.details["fields"]) == {"title"}
    assert [found.title for found in (await desk.chats.list(ada, PAGE)).items] == ["Fine"]


async def test_lists_the_viewers_own_and_what_is_searched_for(desk: Desk, ada: Viewer, eve: Viewer) -> None:
    for title in ("Prices", "100% refund", "Payments"):
        await desk.chats.create(ada, title)
    await desk.chats.create(eve, "Prices of others")

    async def titles(search: str | None = None) -> list[str]:
        return [chat.title for chat in (await desk.chats.list(ada, PAGE, search)).items]

    assert await titles() == ["Payments", "100% refund", "Prices"]
    assert await titles("  ") == ["Payments", "100% refund", "Prices"]
    assert await titles(" PRICE ") == ["Prices"]
    assert await titles("%") == ["100% refund"]
    with pytest.raises(BadUserInput):
        await titles("nul \0")


async def test_deleting_a_chat_stops_its_running_turn_first(desk: Desk, ada: Viewer) -> None:
    chat = await desk.chats.create(ada)
    await desk.answered(ada, chat.id)
    begun = await desk.begin(ada, chat.id)
    await desk.chats.delete(ada, chat.id)
    assert desk.stopped == [begun.turn.id]
    assert await desk.turns.load_turn(ada.user_id, begun.turn.id) is None


Call = Callable[[Chats, Viewer, int], Awaitable[object]]
CHAT_CALLS: dict[str, Call] = {
    "get": lambda chats, viewer, chat_id: chats.get(viewer, chat_id),
    "rename": lambda chats, viewer, chat_id: chats.rename(viewer, chat_id, "Mine now"),
    "delete": lambda chats, viewer, chat_id: chats.delete(viewer, chat_id),
    "messages": lambda chats, viewer, chat_id: chats.messages(viewer, chat_id, PAGE),
}
MESSAGE_CALLS: dict[str, Call] = {
    "sources": lambda chats, viewer, message_id: chats.sources(viewer, message_id),
    "rate": lambda chats, viewer, message_id: chats.rate(viewer, message_id, Rating.DOWN),
}


@pytest.mark.parametrize("name", CHAT_CALLS)
async def test_somebody_elses_chat_and_a_missing_one_are_not_told_apart(
    desk: Desk, ada: Viewer, eve: Viewer, name: str
) -> None:
    chat = await desk.chats.create(ada, "Mine")
    begun = await desk.begin(ada, chat.id)
    before = await desk.chats.get(ada, chat.id)
    answers = set()
    for chat_id in (chat.id, chat.id + 1, *IMPOSSIBLE_IDS):
        with pytest.raises(NotFound) as caught:
            await CHAT_CALLS[name](desk.chats, eve, chat_id)
        answers.add((caught.value.message, str(caught.value.details)))
    assert len(answers) == 1
    assert desk.stopped == []
    assert await desk.chats.get(ada, chat.id) == before
    assert before.active_turn_id == begun.turn.id


# ---------------------------------------------------------------- messages


async def test_messages_are_read_oldest_first(desk: Desk, ada: Viewer) -> None:
    chat = await desk.chats.create(ada)
    begun = await desk.answered(ada, chat.id)
    page = await desk.chats.messages(ada, chat.id, PAGE)
    assert [(message.role, message.text) for message in page.items] == [
        (Role.USER, "How much is Nano?"),
        (Role.ASSISTANT, "It is $9 [1]."),
    ]
    assert [message.id for message in page.items] == [begun.user_message.id, begun.answer.id]


async def test_sources_are_read_for_one_answer_or_for_many(desk: Desk, ada: Viewer) -> None:
    chat = await desk.chats.create(ada)
    one, two = await desk.answered(ada, chat.id), await desk.answered(ada, chat.id)
    (source,) = await desk.chats.sources(ada, one.answer.id)
    assert (source.message_id, source.document_id, source.excerpt) == (one.answer.id, "plans", "Nano costs $9.")
    assert await desk.chats.sources(ada, one.user_message.id) == ()
    batch = await desk.chats.sources_batch(ada, [two.answer.id, one.answer.id, one.user_message.id])
    assert {key: len(found) for key, found in batch.items()} == {
        one.answer.id: 1,
        two.answer.id: 1,
        one.user_message.id: 0,
    }


async def test_batches_leave_out_what_is_not_the_viewers(desk: Desk, ada: Viewer, eve: Viewer) -> None:
    mine = await desk.answered(ada, (await desk.chats.create(ada)).id)
    hers = await desk.answered(eve, (await desk.chats.create(eve)).id)
    ids = [mine.answer.id, hers.answer.id, 404, *IMPOSSIBLE_IDS]
    assert set(await desk.chats.message_batch(ada, ids)) == {mine.answer.id}
    assert set(await desk.chats.sources_batch(ada, ids)) == {mine.answer.id}
    assert (await desk.chats.message_batch(ada, ids))[mine.answer.id].text == "It is $9 [1]."


async def test_an_answer_is_rated_and_rated_again(desk: Desk, ada: Viewer) -> None:
    begun = await desk.answered(ada, (await desk.chats.create(ada)).id)
    for rating in (Rating.UP, Rating.DOWN, Rating.NONE):
        rated = await desk.chats.rate(ada, begun.answer.id, rating, "because\nof this")
        assert (rated.id, rated.rating) == (begun.answer.id, rating)
        assert (await desk.chats.message_batch(ada, [rated.id]))[rated.id].rating is rating


@pytest.mark.parametrize("comment", ["c" * 2_001, "nul \0", "half \ud83e"], ids=["long", "control", "surrogate"])
async def test_a_comment_that_does_not_fit(desk: Desk, ada: Viewer, comment: str) -> None:
    begun = await desk.answered(ada, (await desk.chats.create(ada)).id)
    with pytest.raises(BadUserInput) as caught:
        await desk.chats.rate(ada, begun.answer.id, Rating.UP, comment)
    assert set(caught.value.details["fields"]) == {"comment"}
    assert (await desk.chats.message_batch(ada, [begun.answer.id]))[begun.answer.id].rating is Rating.NONE


async def test_questions_are_not_rated(desk: Desk, ada: Viewer) -> None:
    begun = await desk.answered(ada, (await desk.chats.create(ada)).id)
    with pytest.raises(NotFound):
        await desk.chats.rate(ada, begun.user_message.id, Rating.UP)


@pytest.mark.parametrize("name", MESSAGE_CALLS)
async def test_somebody_elses_answer_and_a_missing_one_are_not_told_apart(
    desk: Desk, ada: Viewer, eve: Viewer, name: str
) -> None:
    begun = await desk.answered(ada, (await desk.chats.create(ada)).id)
    for message_id in (begun.answer.id, begun.answer.id + 1, *IMPOSSIBLE_IDS):
        with pytest.raises(NotFound):
            await MESSAGE_CALLS[name](desk.chats, eve, message_id)
    assert (await desk.chats.message_batch(ada, [begun.answer.id]))[begun.answer.id].rating is Rating.NONE
