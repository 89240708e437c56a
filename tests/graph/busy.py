"""A viewer who has used the desk: sessions with answers, sources, versions, and turns of every kind of end."""

from domain.errors import ErrorCode
from domain.model import Route, RunnerUp, TurnError, TurnStatus, Usage
from domain.pages import PageRequest
from domain.records import TurnOutcome, TurnProgress, TurnRequest
from tests.graph.desk import Desk
from tests.stores import LEASE, Stores, source

FAILURE = TurnError(ErrorCode.MODEL_UNAVAILABLE, "The model did not answer.", True)
ENDS = (
    (TurnStatus.COMPLETED, None),
    (TurnStatus.FAILED, FAILURE),
    (TurnStatus.STOPPED, None),
    (TurnStatus.INTERRUPTED, FAILURE),
)


async def fill(desk: Desk, token: str, sessions: int) -> None:
    """Until the viewer has so many sessions. Each has two questions with answers, of which the last is written anew: in
    every second session that is still going on, in the others it ended one way or another."""
    stores = Stores.on(desk.database)
    viewer = await desk.services.accounts.authenticate(token)
    user = await stores.accounts.get_user(viewer.user_id)
    assert user is not None
    there = len((await desk.services.chats.list(viewer, PageRequest(100))).edges)
    for number in range(there, sessions):
        chat = await stores.chat(user, f"Chat {number}")
        for text in ("First?", "Second?"):
            begun = await stores.begin(chat, user, text)
            route = Route("pricing", 0.9, "asks", runner_up=RunnerUp("help-guides", 0.1))
            written = TurnProgress(f"{text} Yes [1].", "s 1", text, (route,), (source(begun, 1, (8, 11)),))
            await stores.turns.finish_turn(begun.turn.id, TurnOutcome(TurnStatus.COMPLETED, written, Usage(7, 4), None))
        again = await stores.turns.begin_again(user.id, begun.answer.id, TurnRequest(LEASE))
        if number % 2:
            status, error = ENDS[number // 2 % len(ENDS)]
            anew = TurnProgress("Anew.", "s 1", None, (), (source(again, 1), source(again, 2)))
            await stores.turns.finish_turn(again.turn.id, TurnOutcome(status, anew, None, error))
