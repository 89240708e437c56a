"""Turns over a real store, log and signals, with a workflow that a test writes: what is claimed, followed and kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.engine import Database
from db.queue import SqlQueueStore
from domain.agents.catalog import Agent, AgentCatalog
from domain.agents.state import Draft, TurnContext
from domain.errors import (
    BadUserInput,
    ChatBusy,
    ContentFiltered,
    ErrorCode,
    IdempotencyMismatch,
    ModelUnavailable,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from domain.events import AnswerDelta, TurnCompleted, TurnEnded
from domain.followers import Followers
from domain.model import Span, TurnStatus, Usage, Viewer
from domain.pages import PageRequest
from domain.ports import LoginsEnded
from domain.queue import TurnQueue
from domain.runner import TurnLimits, TurnRunner
from domain.streams import OpenStreams
from domain.turns import Turns
from providers.memory_log import MemoryTurnLog
from providers.memory_signals import MemorySignals
from providers.rate_limits import WindowRateLimiter
from tests.domain.turn_desk import Desk, Gate, answers


async def test_a_turn_is_followed_stored_and_replayed_alike(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(answers)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?", "key-1")
    live = await desk.follow(turn.id)
    assert [event.seq for event in live] == list(range(1, len(live) + 1))
    last = live[-1]
    assert isinstance(last, TurnCompleted)
    text = "".join(event.text for event in live if isinstance(event, AnswerDelta))
    assert text == last.message.text == "It is so 🙂. [1]"
    assert last.message.sources[0].spans == (Span(0, 10),)
    async with asyncio.timeout(5):
        while desk.log.reader(turn.id, 0) is not None:
            await asyncio.sleep(0.01)
    for after in range(len(live) + 1):
        assert await desk.follow(turn.id, after) == [event for event in live if event.seq > after]
    stored = await desk.turns.get(desk.viewer, turn.id)
    assert (stored.status, stored.usage, stored.standalone_question) == (
        TurnStatus.COMPLETED,
        Usage(3, 4),
        "standalone?",
    )


async def test_a_follower_that_leaves_stops_nothing(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    leaving = desk.turns.follow(desk.viewer, turn.id)
    assert await anext(leaving)
    await leaving.aclose()
    gate.opened.set()
    assert isinstance((await desk.follow(turn.id))[-1], TurnCompleted)


async def test_the_same_key_attaches_and_another_text_is_refused(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(answers)
    first = await desk.turns.send(desk.viewer, desk.chat.id, "So?", "key")
    await desk.follow(first.id)
    again = await desk.turns.send(desk.viewer, desk.chat.id, "So?", "key")
    assert again.id == first.id
    with pytest.raises(IdempotencyMismatch):
        await desk.turns.send(desk.viewer, desk.chat.id, "So!", "key")
    pages = await desk.messages.list_messages(desk.viewer.user_id, [desk.chat.id], PageRequest.of())
    page = pages[desk.chat.id]
    assert len(page.items) == 2


async def test_one_turn_at_a_time_in_a_chat(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    with pytest.raises(ChatBusy) as busy:
        await desk.turns.send(desk.viewer, desk.chat.id, "And?")
    assert busy.value.details == {"turn_id": turn.id}
    gate.opened.set()
    await desk.follow(turn.id)
    assert (await desk.turns.send(desk.viewer, desk.chat.id, "And?")).id != turn.id


async def test_stopping_keeps_the_text_and_answers_every_follower(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await gate.writing.wait()
    followers = [asyncio.create_task(desk.follow(turn.id)) for _ in range(3)]
    await asyncio.sleep(0)
    stopped = await desk.turns.stop(desk.viewer, turn.id)
    assert (stopped.status, stopped.error) == (TurnStatus.STOPPED, None)
    for events in await asyncio.gather(*followers):
        last = events[-1]
        assert isinstance(last, TurnEnded)
        assert (last.status, last.message.text) == (TurnStatus.STOPPED, "Begun")
    assert await desk.turns.stop(desk.viewer, turn.id) == stopped


@pytest.mark.parametrize(
    ("failure", "code", "retryable"),
    [
        (ModelUnavailable("gone"), ErrorCode.MODEL_UNAVAILABLE, True),
        (ContentFiltered(), ErrorCode.CONTENT_FILTERED, False),
        (RuntimeError("a secret detail"), ErrorCode.INTERNAL, False),
    ],
)
async def test_a_failure_ends_the_turn_with_its_code_and_its_text(
    open_desk: Callable[..., Awaitable[Desk]], failure: Exception, code: ErrorCode, retryable: bool
) -> None:
    async def fails(context: TurnContext) -> Draft:
        context.recorder.delta("Half")
        raise failure

    desk = await open_desk(fails)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    last = (await desk.follow(turn.id))[-1]
    assert isinstance(last, TurnEnded)
    assert last.error is not None
    assert (last.status, last.message.text, last.error.code) == (TurnStatus.FAILED, "Half", code)
    assert last.error.retryable is retryable
    assert "secret" not in last.error.message
    assert (await desk.turns.get(desk.viewer, turn.id)).error == last.error


async def test_a_turn_has_a_deadline(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(Gate(), TurnLimits(deadline=timedelta(milliseconds=20)))
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    last = (await desk.follow(turn.id))[-1]
    assert isinstance(last, TurnEnded)
    assert last.error is not None
    assert (last.error.code, last.message.text) == (ErrorCode.MODEL_UNAVAILABLE, "Begun")


async def test_an_endless_answer_is_cut_off(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    async def endless(context: TurnContext) -> Draft:
        while True:
            context.recorder.delta("more ")

    desk = await open_desk(endless, TurnLimits(answer_characters=1_000))
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    last = (await desk.follow(turn.id))[-1]
    assert isinstance(last, TurnEnded)
    assert len(last.message.text) == 1_000


async def test_text_grows_in_the_store_while_the_turn_runs(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    async with asyncio.timeout(5):
        while True:
            stored = await desk.store.load_turn(desk.viewer.user_id, turn.id)
            if stored is not None and stored.answer.text == "Begun":
                break
            await asyncio.sleep(0.02)
    assert stored.turn.status is TurnStatus.RUNNING


async def test_no_more_turns_run_at_once_than_may(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate, at_once, most = Gate(), 0, 0

    async def counted(context: TurnContext) -> Draft:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await gate.opened.wait()
        at_once -= 1
        return Draft("")

    desk = await open_desk(counted, TurnLimits(concurrent=2))
    chats = [await desk.chats.create_chat(desk.viewer.user_id, "c") for _ in range(6)]
    turns = [await desk.turns.send(desk.viewer, chat.id, "So?") for chat in chats]
    gate.opened.set()
    await asyncio.gather(*(desk.follow(turn.id) for turn in turns))
    assert most == 2


async def test_a_login_that_ends_takes_its_followers_along(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await gate.writing.wait()
    following = asyncio.create_task(desk.follow(turn.id))
    other = Viewer(desk.viewer.user_id, "x", "another login", desk.viewer.expires_at)
    staying = desk.turns.follow(other, turn.id)
    await anext(staying)
    await asyncio.sleep(0.01)
    await desk.signals.publish(LoginsEnded(("login",)))
    with pytest.raises(Unauthenticated):
        await following
    gate.opened.set()
    assert [event async for batch in staying for event in batch]


async def test_a_follower_ends_when_its_token_expires(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(Gate())
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    expiring = Viewer(desk.viewer.user_id, "x", "login", datetime.now(UTC) + timedelta(milliseconds=30))
    with pytest.raises(Unauthenticated):
        async for _ in desk.turns.follow(expiring, turn.id):
            pass


async def test_shutting_down_interrupts_what_runs(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await gate.writing.wait()
    await desk.runner.close()
    ended = await desk.turns.get(desk.viewer, turn.id)
    assert ended.status is TurnStatus.INTERRUPTED
    assert ended.error is not None
    assert ended.error.retryable
    assert desk.runner.running == 0


async def test_a_chat_deleted_under_its_turn_ends_the_turn(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await gate.writing.wait()
    following = asyncio.create_task(desk.follow(turn.id))
    await asyncio.sleep(0.01)
    assert await desk.chats.delete_chat(desk.viewer.user_id, desk.chat.id)
    with pytest.raises(NotFound):
        await following
    assert desk.runner.running == 0


async def test_a_turn_that_was_taken_over_is_followed_to_the_end_that_it_was_given(
    open_desk: Callable[..., Awaitable[Desk]], database: Database
) -> None:
    gate = Gate()
    desk = await open_desk(gate, TurnLimits(lease=timedelta(0)))
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await gate.writing.wait()
    following = asyncio.create_task(desk.follow(turn.id))
    await asyncio.sleep(0.01)
    assert await SqlQueueStore(database).interrupt_expired() == [turn.id]
    last = (await following)[-1]
    assert isinstance(last, TurnEnded)
    assert last.status is TurnStatus.INTERRUPTED


async def test_a_turn_of_another_process_is_followed_from_the_store(
    open_desk: Callable[..., Awaitable[Desk]], database: Database
) -> None:
    gate = Gate()
    desk = await open_desk(gate)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    signals = MemorySignals()
    log = MemoryTurnLog()
    runner = TurnRunner(answers, desk.store, log, signals, TurnLimits())
    catalog = AgentCatalog((Agent("help", "Help", "", Path()),))
    followers = Followers(desk.store, log, OpenStreams(signals))
    queue, limiter = TurnQueue(SqlQueueStore(database), log, runner, catalog), WindowRateLimiter({"send": "9/minute"})
    elsewhere = Turns(desk.store, followers, signals, runner, queue, catalog, limiter)
    following = elsewhere.follow(desk.viewer, turn.id)
    first = await anext(following)
    assert first[0].seq == 1
    gate.opened.set()
    rest = [event async for batch in following for event in batch]
    assert isinstance(rest[-1], TurnCompleted)
    assert [event.seq for event in [*first, *rest]] == list(range(1, rest[-1].seq + 1))


@pytest.mark.parametrize("text", ["", "  \n", "x" * 8_001, "a\x00b", "a\ud800b", "a\x1bb"])
async def test_unfit_text_is_refused_and_nothing_is_stored(
    open_desk: Callable[..., Awaitable[Desk]], text: str
) -> None:
    desk = await open_desk(answers)
    with pytest.raises(BadUserInput) as refused:
        await desk.turns.send(desk.viewer, desk.chat.id, text)
    assert list(refused.value.details["fields"]) == ["text"]
    pages = await desk.messages.list_messages(desk.viewer.user_id, [desk.chat.id], PageRequest.of())
    page = pages[desk.chat.id]
    assert page.items == ()


async def test_agents_that_the_viewer_may_not_ask_are_unknown(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(answers)
    for name in ("secret", "nobody"):
        with pytest.raises(BadUserInput, match=f"no agent '{name}'; there are help"):
            await desk.turns.send(desk.viewer, desk.chat.id, "So?", agents=[name])


async def test_somebody_elses_turn_and_chat_do_not_exist(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    mine, theirs = await open_desk(answers), await open_desk(answers)
    turn = await theirs.turns.send(theirs.viewer, theirs.chat.id, "So?")
    for call in (
        lambda: mine.turns.send(mine.viewer, theirs.chat.id, "So?"),
        lambda: mine.turns.stop(mine.viewer, turn.id),
        lambda: mine.turns.get(mine.viewer, turn.id),
        lambda: anext(mine.turns.follow(mine.viewer, turn.id)),
    ):
        with pytest.raises(NotFound):
            await call()


async def test_sending_is_rate_limited(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    desk = await open_desk(answers, TurnLimits(), "1/minute")
    await desk.follow((await desk.turns.send(desk.viewer, desk.chat.id, "So?")).id)
    with pytest.raises(RateLimited) as limited:
        await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    assert 1 <= limited.value.details["retry_after"] <= 60


async def test_text_that_no_database_keeps_is_mended(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    async def odd(context: TurnContext) -> Draft:
        for piece in ("a\x00b", "\ud83d", "", "z"):
            context.recorder.delta(piece)
        return Draft("")

    desk = await open_desk(odd)
    last = (await desk.follow((await desk.turns.send(desk.viewer, desk.chat.id, "So?")).id))[-1]
    assert isinstance(last, TurnCompleted)
    assert last.message.text == "ab?z"
