"""The suite of the TurnStore port."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from db.engine import Database
from domain.errors import ChatBusy, ErrorCode, IdempotencyMismatch, NotFound
from domain.model import ChatSession, Route, RouteMethod, TurnError, TurnStatus, Usage, User
from domain.records import BegunTurn, StoredTurn, TurnOutcome, TurnProgress
from tests.stores import NOBODYS_IDS, RAN_OUT, UNICODE, Stores, outcome, progress, source


@pytest.fixture
async def chat(stores: Stores, alice: User) -> ChatSession:
    return await stores.chat(alice)


# ---------------------------------------------------------------- begin_turn


async def test_a_turn_begins_with_its_messages(stores: Stores, alice: User, chat: ChatSession) -> None:
    before = datetime.now(UTC)
    begun = await stores.begin(chat, alice, "What is it?", "key")
    assert begun.created
    assert (begun.turn.status, begun.turn.chat_id) == (TurnStatus.RUNNING, chat.id)
    assert before <= begun.turn.created_at <= datetime.now(UTC)
    assert (begun.user_message.text, begun.answer.text) == ("What is it?", "")
    assert begun.user_message.id < begun.answer.id
    assert await stores.load(alice, begun) == StoredTurn(begun.turn, begun.user_message, begun.answer, "s")
    found = await stores.get_chat(alice.id, chat.id)
    assert found is not None
    assert found.updated_at == begun.turn.created_at


async def test_only_ones_own_chat_takes_a_message(stores: Stores, alice: User, bob: User, chat: ChatSession) -> None:
    running = await stores.begin(chat, alice, key="key")
    with pytest.raises(NotFound):
        await stores.begin(chat, bob, key="key")
    for chat_id in NOBODYS_IDS:
        with pytest.raises(NotFound):
            await stores.begin(replace(chat, id=chat_id), alice, key="key")
    assert await stores.texts(alice, chat) == [running.user_message.text, ""]


async def test_the_same_key_attaches_while_the_turn_runs_and_for_ever(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    first = await stores.begin(chat, alice, "Hello?", "key")
    assert await stores.begin(chat, alice, "Hello?", "key") == replace(first, created=False)
    stored = await stores.turns.finish_turn(first.turn.id, outcome(progress(first, "Hi!")))
    await stores.answered(chat, alice, "Something else")
    assert stored is not None
    again = await stores.begin(chat, alice, "Hello?", "key")
    assert again == BegunTurn(stored.turn, stored.user_message, stored.answer, created=False)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Hello", "hello"),
        ("Hello", "Hello "),
        ("Hello ", "Hello"),
        ("\u00e9", "e\u0301"),
        ("resume", "résumé"),
        ("Straße", "Strasse"),
        ("😀", "😁"),
        ("a\nb", "a\r\nb"),
    ],
)
async def test_the_same_key_with_another_text_is_a_mistake(
    stores: Stores, alice: User, chat: ChatSession, text: str, other: str
) -> None:
    begun = await stores.begin(chat, alice, text, "key")
    with pytest.raises(IdempotencyMismatch):
        await stores.begin(chat, alice, other, "key")
    await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Hi!")))
    with pytest.raises(IdempotencyMismatch):
        await stores.begin(chat, alice, other, "key")
    assert await stores.texts(alice, chat) == [text, "Hi!"]


@pytest.mark.parametrize("text", UNICODE)
async def test_the_same_text_is_recognized(stores: Stores, alice: User, chat: ChatSession, text: str) -> None:
    begun = await stores.begin(chat, alice, text, "key")
    assert await stores.begin(chat, alice, text, "key") == replace(begun, created=False)


async def test_a_key_belongs_to_its_chat_and_is_compared_exactly(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    turns = [await stores.answered(chat, alice, "Hello?", key) for key in ("key", "Key", "key ", "k" * 128, "k" * 127)]
    turns.append(await stores.answered(await stores.chat(alice), alice, "Hello?", "key"))
    assert len({stored.turn.id for stored in turns}) == 6


async def test_messages_without_a_key_never_meet(stores: Stores, alice: User, chat: ChatSession) -> None:
    first, second = await stores.answered(chat, alice), await stores.answered(chat, alice)
    assert first.turn.id != second.turn.id


async def test_a_busy_chat_names_its_turn(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice, "First", "key")
    for key in (None, "another"):
        with pytest.raises(ChatBusy) as busy:
            await stores.begin(chat, alice, "Second", key)
        assert busy.value.details == {"turn_id": begun.turn.id}
    assert await stores.texts(alice, chat) == ["First", ""]
    await stores.begin(await stores.chat(alice), alice)


async def racing(stores: Stores, url: str, user: User, chat: ChatSession, keys: list[str]) -> list[object]:
    """One message for each key at once, half of them through a second database handle, as from another process."""
    async with Database.open(url) as elsewhere:
        both = (stores, Stores.on(elsewhere))
        begins = [both[n % 2].begin(chat, user, "Hello?", key) for n, key in enumerate(keys)]
        return list(await asyncio.gather(*begins, return_exceptions=True))


async def test_of_20_that_send_one_message_at_once_one_begins_the_turn(
    stores: Stores, alice: User, chat: ChatSession, database_url: str
) -> None:
    results = await racing(stores, database_url, alice, chat, ["key"] * 20)
    begun = [result for result in results if isinstance(result, BegunTurn)]
    assert len(begun) == 20
    assert sum(result.created for result in begun) == 1
    assert len({result.turn.id for result in begun}) == 1
    assert await stores.texts(alice, chat) == ["Hello?", ""]


async def test_of_20_messages_sent_at_once_one_gets_the_chat(
    stores: Stores, alice: User, chat: ChatSession, database_url: str
) -> None:
    results = await racing(stores, database_url, alice, chat, [f"key {n}" for n in range(20)])
    begun = [result for result in results if isinstance(result, BegunTurn)]
    busy = [result for result in results if isinstance(result, ChatBusy)]
    assert (len(begun), len(busy)) == (1, 19)
    assert {error.details["turn_id"] for error in busy} == {begun[0].turn.id}
    assert await stores.texts(alice, chat) == ["Hello?", ""]


async def test_of_20_that_find_a_lease_run_out_one_gets_the_chat(
    stores: Stores, alice: User, chat: ChatSession, database_url: str
) -> None:
    dead = await stores.begin(chat, alice, lease=RAN_OUT)
    results = await racing(stores, database_url, alice, chat, [f"key {n}" for n in range(20)])
    assert sum(isinstance(result, BegunTurn) for result in results) == 1
    assert sum(isinstance(result, ChatBusy) for result in results) == 19
    assert (await stores.load(alice, dead)).turn.status is TurnStatus.INTERRUPTED


async def test_chats_begin_turns_beside_one_another(stores: Stores, alice: User, bob: User) -> None:
    chats = [await stores.chat(user) for user in (alice, bob) for _ in range(5)]
    users = [alice] * 5 + [bob] * 5
    begun = await asyncio.gather(*(stores.begin(chat, user) for chat, user in zip(chats, users, strict=True)))
    assert all(turn.created for turn in begun)


# ---------------------------------------------------------------- save_progress, finish_turn


async def test_progress_replaces_what_was_written(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice)
    routes = (
        Route("help", 0.875, 'Because "é😀"', RouteMethod.MODEL),
        Route("pricing", 1 / 3, "", RouteMethod.CLIENT),
        Route("api", 1, ""),
    )
    one, two = source(begun, 1, (0, 3)), source(begun, 2)
    steps = [
        TurnProgress("", "s r", "What is it, exactly? 😀", routes, ()),
        TurnProgress("See [1]", "s r -1 7", "What is it, exactly? 😀", routes, (one,)),
        TurnProgress("See [1] and [2]", "s r -1 7 -2 8", "What is it, exactly? 😀", routes, (one, two)),
        TurnProgress("See [1] and [2].", "s r -1 7 -2 9", None, (), (replace(one, spans=()), two)),
        TurnProgress("", "s", None, (), (two,)),
        TurnProgress("", "s", None, (), ()),
    ]
    for step in steps:
        assert await stores.save(begun.turn.id, step)
        stored = await stores.load(alice, begun)
        found = TurnProgress(
            stored.answer.text,
            stored.timeline,
            stored.turn.standalone_question,
            stored.turn.routes,
            stored.answer.sources,
        )
        assert found == step
        assert stored.turn.status is TurnStatus.RUNNING
    assert await stores.save(begun.turn.id, steps[2])
    assert await stores.save(begun.turn.id, None)
    assert (await stores.load(alice, begun)).answer.text == steps[2].text


async def test_nothing_is_saved_for_a_turn_that_is_not_there(stores: Stores) -> None:
    for turn_id in NOBODYS_IDS:
        assert not await stores.save(turn_id, None)
        assert not await stores.save(turn_id, TurnProgress("", "", None, (), ()))
        assert await stores.turns.finish_turn(turn_id, outcome(TurnProgress("", "", None, (), ()))) is None


async def test_a_turn_ends_with_everything(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice)
    first_token_at = datetime.now(UTC)
    written = TurnProgress("See [1]", "s r -1 7", "Alone?", (Route("help", 0.5, "why"),), (source(begun, 1, (4, 7)),))
    ending = TurnOutcome(TurnStatus.COMPLETED, written, Usage(12, 34), None, "a model", first_token_at)
    stored = await stores.turns.finish_turn(begun.turn.id, ending)
    assert stored is not None
    assert stored.turn == replace(
        begun.turn,
        status=TurnStatus.COMPLETED,
        standalone_question="Alone?",
        routes=written.routes,
        usage=Usage(12, 34),
        ended_at=stored.turn.ended_at,
    )
    assert stored.answer == replace(begun.answer, text="See [1]", sources=(source(begun, 1, (4, 7)),))
    assert (stored.user_message, stored.timeline) == (begun.user_message, "s r -1 7")
    assert await stores.load(alice, begun) == stored
    found = await stores.get_chat(alice.id, chat.id)
    assert found is not None
    assert found.updated_at == stored.turn.ended_at
    assert (await stores.begin(chat, alice, "Next")).created


@pytest.mark.parametrize("status", [TurnStatus.STOPPED, TurnStatus.FAILED, TurnStatus.INTERRUPTED])
@pytest.mark.parametrize(
    "error",
    [
        None,
        TurnError(ErrorCode.MODEL_UNAVAILABLE, "Not now. 😀", retryable=True),
        TurnError(ErrorCode.SEARCH_UNAVAILABLE, "Later.", retryable=True, retry_after=90),
    ],
)
async def test_a_turn_ends_otherwise(
    stores: Stores, alice: User, chat: ChatSession, status: TurnStatus, error: TurnError | None
) -> None:
    begun = await stores.begin(chat, alice)
    stored = await stores.turns.finish_turn(begun.turn.id, outcome(progress(begun, "Half"), status, error=error))
    assert stored is not None
    assert (stored.turn.status, stored.turn.error, stored.turn.usage) == (status, error, None)
    assert await stores.load(alice, begun) == stored


async def test_an_end_that_names_no_sources_keeps_the_stored_ones(
    stores: Stores, alice: User, chat: ChatSession
) -> None:
    begun = await stores.begin(chat, alice)
    written = progress(begun, "See [1]", source(begun, 1), source(begun, 2))
    assert await stores.save(begun.turn.id, written)
    stored = await stores.turns.finish_turn(begun.turn.id, outcome(replace(written, sources=None)))
    assert stored is not None
    assert stored.answer.sources == written.sources
    assert await stores.load(alice, begun) == stored


async def test_a_turn_ends_once(stores: Stores, alice: User, chat: ChatSession) -> None:
    begun = await stores.begin(chat, alice)
    endings = [outcome(progress(begun, f"Ending {n}", source(begun, n + 1))) for n in range(8)]
    results = await asyncio.gather(*(stores.turns.finish_turn(begun.turn.id, ending) for ending in endings))
    stored = [result for result in results if result is not None]
    assert len(stored) == 1
    at_the_end = await stores.load(alice, begun)
    moved = await stores.get_chat(alice.id, chat.id)
    assert at_the_end == stored[0]
    assert not await stores.save(begun.turn.id, progress(begun, "More"))
    assert not await stores.save(begun.turn.id, None)
    assert await stores.turns.finish_turn(begun.turn.id, endings[0]) is None
    assert await stores.load(alice, begun) == at_the_end
    assert await stores.get_chat(alice.id, chat.id) == moved
    assert await stores.queue.interrupt_expired() == []


async def test_an_old_turns_end_leaves_the_next_one_alone(stores: Stores, alice: User, chat: ChatSession) -> None:
    dead = await stores.begin(chat, alice, "First", lease=RAN_OUT)
    begun = await stores.begin(chat, alice, "Second")
    assert await stores.turns.finish_turn(dead.turn.id, outcome(progress(dead, "Late"))) is None
    with pytest.raises(ChatBusy) as busy:
        await stores.begin(chat, alice, "Third")
    assert busy.value.details == {"turn_id": begun.turn.id}


async def test_writers_of_one_chat_and_its_deletion_do_not_block_one_another(stores: Stores, alice: User) -> None:
    """Each takes locks on the same rows. All must end, and only the expected refusals may come."""
    for _ in range(5):
        chat = await stores.chat(alice)
        await stores.answered(chat, alice)
        begun = await stores.begin(chat, alice, lease=timedelta(seconds=0))
        written = progress(begun, "Half", source(begun, 1))
        results = await asyncio.gather(
            *(stores.save(begun.turn.id, written) for _ in range(3)),
            stores.turns.finish_turn(begun.turn.id, outcome(written)),
            stores.queue.interrupt_expired(),
            stores.begin(chat, alice, "Next"),
            stores.chats.rename_chat(alice.id, chat.id, "Renamed"),
            stores.chats.delete_chat(alice.id, chat.id),
            return_exceptions=True,
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(failure, ChatBusy | NotFound) for failure in failures), failures
        assert results[-1] is True


# ---------------------------------------------------------------- reading


async def test_somebody_elses_turn_is_like_a_missing_one(
    stores: Stores, alice: User, bob: User, chat: ChatSession
) -> None:
    begun = await stores.begin(chat, alice)
    for user_id, turn_id in [(bob.id, begun.turn.id), *((alice.id, turn_id) for turn_id in NOBODYS_IDS)]:
        assert await stores.turns.get_turns(user_id, [turn_id]) == {}
        assert await stores.turns.load_turn(user_id, turn_id) is None


async def test_turns_by_id(stores: Stores, alice: User, bob: User, chat: ChatSession) -> None:
    foreign = await stores.answered(await stores.chat(bob), bob)
    ended = await stores.answered(chat, alice)
    begun = await stores.begin(chat, alice)
    ids = [begun.turn.id, foreign.turn.id, ended.turn.id, begun.turn.id, 999_999_999]
    assert await stores.turns.get_turns(alice.id, ids) == {ended.turn.id: ended.turn, begun.turn.id: begun.turn}
    assert await stores.turns.get_turns(alice.id, []) == {}


async def test_a_cancelled_begin_leaves_all_or_nothing(stores: Stores, alice: User) -> None:
    """Cancelled after 0, 1, 2 … turns of the event loop, until one got through before that: wherever it is then."""
    for steps in range(1_000):
        chat = await stores.chat(alice)
        task = asyncio.create_task(stores.begin(chat, alice, "Hello?", "key"))
        for _ in range(steps):
            await asyncio.sleep(0)
        got_through = task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is not got_through
        written = await stores.texts(alice, chat)
        assert written in ([], ["Hello?", ""])
        again = await stores.begin(chat, alice, "Hello?", "key")
        assert again.created is (written == [])
        if got_through:
            return
