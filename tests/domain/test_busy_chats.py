"""A question that comes while its chat answers another: refused, waiting its turn, or taking over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from domain.agents.state import Draft, TurnContext
from domain.errors import ChatBusy, IdempotencyMismatch, NotFound, RateLimited, Unauthenticated
from domain.events import TurnCompleted, TurnEnded, TurnStarted
from domain.followers import Followers
from domain.knowledge import Reader
from domain.model import OnBusy, Turn, TurnStatus
from domain.pages import PageRequest
from domain.ports import LoginsEnded
from domain.records import TurnRequest
from domain.runner import TurnLimits
from domain.streams import OpenStreams
from tests.domain.turn_desk import Desk, Gate

Open = Callable[..., Awaitable[Desk]]


class Gates:
    """A workflow that holds each question until its own gate is opened."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def __getitem__(self, text: str) -> Gate:
        return self._gates.setdefault(text, Gate())

    async def __call__(self, context: TurnContext) -> Draft:
        return await self[context.question.text](context)


async def ask(desk: Desk, text: str, on_busy: OnBusy = OnBusy.ENQUEUE, key: str | None = None) -> Turn:
    return await desk.turns.send(desk.viewer, desk.chat.id, text, key, on_busy=on_busy)


async def test_questions_are_answered_one_after_the_other(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    turns = [await ask(desk, text) for text in ("One?", "Two?", "Three?")]
    assert [turn.status for turn in turns] == [TurnStatus.RUNNING, TurnStatus.QUEUED, TurnStatus.QUEUED]
    following = [asyncio.create_task(desk.follow(turn.id)) for turn in turns]
    for text in ("One?", "Two?", "Three?"):
        await gates[text].writing.wait()
        assert desk.runner.running == 1
        gates[text].opened.set()
    for events in await asyncio.gather(*following):
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert isinstance(events[0], TurnStarted)
        assert isinstance(events[-1], TurnCompleted)
    pages = await desk.messages.list_messages(desk.viewer.user_id, [desk.chat.id], PageRequest.of())
    page = pages[desk.chat.id]
    assert [m.text for m in page.items if m.text.endswith("?")] == ["One?", "Two?", "Three?"]


async def test_who_follows_a_turn_that_waits_is_told_that_it_is_stored(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    await ask(desk, "One?")
    second = await ask(desk, "Two?")
    following = desk.turns.follow(desk.viewer, second.id)
    (started,) = await anext(following)
    assert isinstance(started, TurnStarted)
    assert (started.seq, started.user_message.text) == (1, "Two?")
    for gate in ("One?", "Two?"):
        gates[gate].opened.set()
    rest = [event async for batch in following for event in batch]
    assert [event.seq for event in rest] == list(range(2, len(rest) + 2))


async def test_a_turn_that_waits_can_be_stopped(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    first, second, third = [await ask(desk, text) for text in ("One?", "Two?", "Three?")]
    following = asyncio.create_task(desk.follow(second.id))
    assert (await desk.turns.stop(desk.viewer, second.id)).status is TurnStatus.STOPPED
    events = await following
    assert isinstance(events[-1], TurnEnded)
    assert (events[-1].status, events[-1].message.text) == (TurnStatus.STOPPED, "")
    for gate in ("One?", "Three?"):
        gates[gate].opened.set()
    assert isinstance((await desk.follow(third.id))[-1], TurnCompleted)
    assert not gates["Two?"].writing.is_set()
    assert (await desk.turns.get(desk.viewer, first.id)).status is TurnStatus.COMPLETED


async def test_a_login_that_ends_ends_who_follows_a_turn_that_waits(open_desk: Open) -> None:
    desk = await open_desk(Gates())
    await ask(desk, "One?")
    following = desk.turns.follow(desk.viewer, (await ask(desk, "Two?")).id)
    await anext(following)
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    await desk.signals.publish(LoginsEnded((desk.viewer.login_id,)))
    with pytest.raises(Unauthenticated):
        await waiting


async def test_taking_over_stops_what_runs_and_what_waits(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    first, second = await ask(desk, "One?"), await ask(desk, "Two?")
    await gates["One?"].writing.wait()
    third = await ask(desk, "Three?", OnBusy.INTERRUPT)
    gates["Three?"].opened.set()
    assert isinstance((await desk.follow(third.id))[-1], TurnCompleted)
    ended = await desk.turns.get_batch(desk.viewer, [first.id, second.id])
    assert [turn.status for turn in ended.values()] == [TurnStatus.STOPPED] * 2
    last = (await desk.follow(first.id))[-1]
    assert isinstance(last, TurnEnded)
    assert last.message.text == "Begun"


@pytest.mark.parametrize("on_busy", OnBusy)
async def test_the_same_key_attaches_whatever_becomes_of_others(open_desk: Open, on_busy: OnBusy) -> None:
    """A client that sends again must not stop, or wait behind, its own turn."""
    gates = Gates()
    desk = await open_desk(gates, TurnLimits(), "1/minute")
    turns = await asyncio.gather(*(ask(desk, "One?", on_busy, "key") for _ in range(8)))
    assert len({turn.id for turn in turns}) == 1
    assert (await desk.turns.get(desk.viewer, turns[0].id)).status is TurnStatus.RUNNING
    with pytest.raises(IdempotencyMismatch):
        await ask(desk, "Two?", on_busy, "key")
    with pytest.raises(RateLimited):
        await ask(desk, "Two?", on_busy, "other")


async def test_a_turn_that_waits_is_claimed_too(open_desk: Open) -> None:
    desk = await open_desk(Gates())
    await ask(desk, "One?")
    second = await ask(desk, "Two?", key="key")
    assert (await ask(desk, "Two?", OnBusy.REJECT, "key")).id == second.id


async def test_a_turn_that_waited_in_a_process_that_is_gone_is_taken_up(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    await ask(desk, "One?")
    request = TurnRequest(timedelta(0), enqueue=True)
    second = (await desk.store.begin_turn(desk.viewer.user_id, desk.chat.id, "Two?", (), "-", request)).turn
    await desk.runner.close()
    survivor = await open_desk(gates)
    gates["Two?"].opened.set()
    await survivor.queue.take_up()
    followers = Followers(survivor.store, survivor.log, OpenStreams(survivor.signals))
    events = [event async for batch in followers.follow(desk.viewer, second.id) for event in batch]
    assert isinstance(events[-1], TurnCompleted)
    assert events[-1].message.text == "Begun and done"


async def test_waiting_ends_with_the_server_and_loses_nothing(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    await ask(desk, "One?")
    second = await ask(desk, "Two?")
    desk.runner.draining = True
    gates["One?"].opened.set()
    await asyncio.wait_for(desk.queue.close(), 10)
    assert (await desk.turns.get(desk.viewer, second.id)).status is TurnStatus.QUEUED
    desk.runner.draining = False
    with pytest.raises(ChatBusy):
        await ask(desk, "Three?", OnBusy.REJECT)


# ---------------------------------------------------------------- regenerate


async def test_a_question_is_answered_anew(open_desk: Open) -> None:
    gates = Gates()
    gates["One?"].opened.set()
    desk = await open_desk(gates)
    first = await ask(desk, "One?")
    answered = (await desk.follow(first.id))[-1]
    assert isinstance(answered, TurnCompleted)
    again = await desk.turns.regenerate(desk.viewer, answered.message.id, "key")
    assert (await desk.turns.regenerate(desk.viewer, answered.message.id, "key")).id == again.id != first.id
    events = await desk.follow(again.id)
    assert isinstance(events[0], TurnStarted)
    assert events[0].user_message.text == "One?"
    last = events[-1]
    assert isinstance(last, TurnCompleted)
    found = await desk.messages.get_versions(desk.viewer.user_id, [last.message.id])
    assert [m.id for m in found[last.message.id]] == [answered.message.id, last.message.id]


async def test_an_answer_that_runs_is_taken_over(open_desk: Open) -> None:
    gates = Gates()
    desk = await open_desk(gates)
    first = await ask(desk, "One?")
    await gates["One?"].writing.wait()
    started = await anext(desk.turns.follow(desk.viewer, first.id))
    assert isinstance(started[0], TurnStarted)
    question = started[0].user_message.id
    with pytest.raises(ChatBusy):
        await desk.turns.regenerate(desk.viewer, question)
    again = await desk.turns.regenerate(desk.viewer, question, on_busy=OnBusy.INTERRUPT)
    gates["One?"].opened.set()
    assert isinstance((await desk.follow(again.id))[-1], TurnCompleted)
    assert (await desk.turns.get(desk.viewer, first.id)).status is TurnStatus.STOPPED


async def test_a_strangers_answer_is_not_there(open_desk: Open) -> None:
    gates = Gates()
    gates["One?"].opened.set()
    mine, theirs = await open_desk(gates), await open_desk(gates)
    last = (await theirs.follow((await ask(theirs, "One?")).id))[-1]
    assert isinstance(last, TurnCompleted)
    with pytest.raises(NotFound):
        await mine.turns.regenerate(mine.viewer, last.message.id)


async def test_answering_anew_is_rate_limited(open_desk: Open) -> None:
    gates = Gates()
    gates["One?"].opened.set()
    desk = await open_desk(gates, TurnLimits(), "1/minute")
    last = (await desk.follow((await ask(desk, "One?")).id))[-1]
    assert isinstance(last, TurnCompleted)
    with pytest.raises(RateLimited):
        await desk.turns.regenerate(desk.viewer, last.message.id)


async def test_documents_are_read_for_who_asks_however_the_turn_begins(open_desk: Open) -> None:
    read_for: list[Reader] = []

    async def answers(context: TurnContext) -> Draft:
        read_for.append(context.reader)
        return Draft("It is so.")

    desk = await open_desk(answers)
    first, waits = await ask(desk, "One?"), await ask(desk, "Two?")
    *_, ended = await desk.follow(first.id)
    await desk.follow(waits.id)
    assert isinstance(ended, TurnCompleted)
    again = await desk.turns.regenerate(desk.viewer, ended.message.id)
    await desk.follow(again.id)
    assert read_for == [Reader(desk.viewer.username)] * 3
