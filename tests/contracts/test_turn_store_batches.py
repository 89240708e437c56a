"""The suite of the TurnStore port: the progress of many turns, saved at once, beside whoever else writes on them."""

import asyncio
from datetime import timedelta

import pytest

from db.engine import Database
from domain.errors import ChatBusy, NotFound
from domain.model import Rating, TurnStatus, User
from domain.records import BegunTurn, StoredTurn, TurnProgress
from tests.stores import LEASE, NOBODYS_IDS, RAN_OUT, Stores, outcome, progress, source


async def begun(stores: Stores, user: User, count: int, lease: timedelta = LEASE) -> list[BegunTurn]:
    """That many running turns, each in a chat of its own."""
    return [await stores.begin(await stores.chat(user), user, lease=lease) for _ in range(count)]


def written(turn: BegunTurn, text: str) -> TurnProgress:
    return progress(turn, text, source(turn, 1), timeline=f"s -1 {len(text)}")


def found(stored: StoredTurn) -> TurnProgress:
    turn, answer = stored.turn, stored.answer
    return TurnProgress(answer.text, stored.timeline, turn.standalone_question, turn.routes, answer.sources)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
async def test_every_turn_gets_its_own(stores: Stores, alice: User, count: int) -> None:
    turns = await begun(stores, alice, count)
    batch = {turn.turn.id: written(turn, f"Text {n} 😀") for n, turn in enumerate(turns)}
    assert await stores.turns.save_progress(batch, LEASE) == set()
    for turn in turns:
        assert found(await stores.load(alice, turn)) == batch[turn.turn.id]


async def test_some_are_written_some_only_renewed_and_some_are_lost(stores: Stores, alice: User) -> None:
    grown, waiting, ended, dead = await begun(stores, alice, 4, RAN_OUT)
    assert await stores.save(ended.turn.id, written(ended, "Ended"))
    assert await stores.turns.finish_turn(ended.turn.id, outcome(written(ended, "Ended")))
    assert await stores.save(waiting.turn.id, written(waiting, "Before"), RAN_OUT)
    batch = {
        **dict.fromkeys(NOBODYS_IDS),
        ended.turn.id: written(ended, "Too late"),
        waiting.turn.id: None,
        grown.turn.id: written(grown, "Grown"),
    }
    lost = await stores.turns.save_progress(batch, LEASE)
    assert lost == {ended.turn.id, *NOBODYS_IDS}
    assert [(await stores.load(alice, one)).answer.text for one in (grown, waiting, ended)] == [
        "Grown",
        "Before",
        "Ended",
    ]
    assert await stores.queue.interrupt_expired() == [dead.turn.id]
    assert await stores.turns.save_progress({}, LEASE) == set()


async def test_sources_that_are_not_given_stay(stores: Stores, alice: User) -> None:
    one, other = await begun(stores, alice, 2)
    both = (source(one, 1, (0, 3)), source(one, 2))
    assert await stores.save(one.turn.id, progress(one, "One", *both))
    assert await stores.save(other.turn.id, written(other, "Other"))
    longer = TurnProgress("One and more", "s -2 12", None, (), None)
    assert (
        await stores.turns.save_progress({one.turn.id: longer, other.turn.id: progress(other, "None")}, LEASE) == set()
    )
    stored = await stores.load(alice, one)
    assert (stored.answer.text, stored.answer.sources) == ("One and more", both)
    assert (await stores.load(alice, other)).answer.sources == ()


async def test_all_is_saved_or_nothing(stores: Stores, alice: User) -> None:
    good, bad = await begun(stores, alice, 2)
    twice = progress(bad, "Bad", source(bad, 1), source(bad, 1))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await stores.turns.save_progress({good.turn.id: written(good, "Good"), bad.turn.id: twice}, LEASE)
    for turn in (good, bad):
        assert (await stores.load(alice, turn)).answer.text == ""


async def test_a_batch_cannot_overwrite_turns_that_end_meanwhile(
    stores: Stores, alice: User, database_url: str
) -> None:
    """Through a second database handle, as from another process."""
    async with Database.open(database_url) as elsewhere:
        others = Stores.on(elsewhere)
        for _ in range(4):
            turns = await begun(stores, alice, 6)
            batch = {turn.turn.id: written(turn, "Half") for turn in turns}
            endings = [outcome(written(turn, "Whole")) for turn in turns]
            finishing = asyncio.gather(
                *(others.turns.finish_turn(turn.turn.id, end) for turn, end in zip(turns, endings, strict=True))
            )
            await asyncio.gather(
                *(stores.turns.save_progress(batch, LEASE) for _ in range(3)),
                *(others.messages.rate_message(alice.id, turn.answer.id, Rating.UP, None) for turn in turns),
            )
            assert all(await finishing)
            for turn in turns:
                at_the_end = await stores.load(alice, turn)
                assert at_the_end.turn.status is TurnStatus.COMPLETED
                assert (at_the_end.answer.text, at_the_end.answer.rating) == ("Whole", Rating.UP)
            assert await stores.turns.save_progress(batch, LEASE) == batch.keys()


async def test_batches_and_sweeps_of_the_same_turns_end(stores: Stores, alice: User, database_url: str) -> None:
    """Whoever locks several turns does so in one order. A turn is saved, or interrupted with what it had."""
    async with Database.open(database_url) as elsewhere:
        others = Stores.on(elsewhere)
        for _ in range(3):
            turns = await begun(stores, alice, 8, timedelta(0))
            batch = {turn.turn.id: written(turn, "Half") for turn in turns}
            backwards = dict(reversed(batch.items()))
            *lost, swept, _ = await asyncio.gather(
                stores.turns.save_progress(batch, LEASE),
                others.turns.save_progress(backwards, LEASE),
                others.queue.interrupt_expired(),
                others.queue.interrupt_expired(),
            )
            for turn in turns:
                status = (await stores.load(alice, turn)).turn.status
                running = status is TurnStatus.RUNNING
                assert running or status is TurnStatus.INTERRUPTED
                assert not running or not any(turn.turn.id in ids for ids in (*lost, swept))


async def test_a_batch_and_the_deletion_of_its_chats_do_not_block_one_another(stores: Stores, alice: User) -> None:
    for _ in range(3):
        chats = [await stores.chat(alice) for _ in range(4)]
        turns = [await stores.begin(chat, alice) for chat in chats]
        batch = {turn.turn.id: written(turn, "Half") for turn in turns}
        results = await asyncio.gather(
            *(stores.turns.save_progress(batch, LEASE) for _ in range(3)),
            *(stores.turns.finish_turn(turn.turn.id, outcome(written(turn, "Whole"))) for turn in turns),
            *(stores.chats.delete_chat(alice.id, chat.id) for chat in chats),
            return_exceptions=True,
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(failure, ChatBusy | NotFound) for failure in failures), failures
        assert await stores.turns.save_progress(batch, LEASE) == batch.keys()
