"""What other releases stored: routes of before they said who had decided, and of later ones that say more."""

import pytest
from sqlalchemy import text, update

from db.tables import SOURCES, TURNS
from domain.errors import ErrorCode
from domain.model import Route, RouteMethod, RunnerUp, Span, TurnStatus
from tests.stores import Stores, outcome, progress, source


@pytest.mark.parametrize(
    ("stored", "method"),
    [
        ({"confidence": 1.0, "reason": "Chosen by the client."}, RouteMethod.CLIENT),
        ({"confidence": 0.8, "reason": "Chosen by the client."}, RouteMethod.EMBEDDED),
        ({"confidence": 1.0, "reason": "Its documents cover “nano”."}, RouteMethod.EMBEDDED),
    ],
)
async def test_who_decided_is_inferred(stores: Stores, stored: dict[str, object], method: RouteMethod) -> None:
    alice = await stores.user("alice")
    begun = await stores.begin(await stores.chat(alice), alice)
    async with stores.database.write() as session:
        changed = update(TURNS).where(TURNS.c.id == begun.turn.id).values(routes=[{"agent": "help", **stored}])
        await session.execute(changed)
    [route] = (await stores.load(alice, begun)).turn.routes
    assert (route.agent, route.confidence, route.method) == ("help", stored["confidence"], method)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (
            {"agent": "help", "confidence": 0.8, "reason": "R.", "method": "MODEL", "seconds": 3, "by": {"name": "m"}},
            Route("help", 0.8, "R.", RouteMethod.MODEL),
        ),
        (
            {"agent": "help", "confidence": 0.8, "reason": "R.", "method": "ORACLE"},
            Route("help", 0.8, "R.", RouteMethod.EMBEDDED),
        ),
        ({"agent": "help"}, Route("help", 0.0, "", RouteMethod.EMBEDDED)),
        (
            {"agent": "help", "confidence": 0.8, "reason": "R.", "runner_up": {"agent": "api", "why": "It is near."}},
            Route("help", 0.8, "R.", RouteMethod.EMBEDDED, RunnerUp("api", 0.0)),
        ),
    ],
    ids=["more keys", "another method", "fewer keys", "a runner-up of other keys"],
)
async def test_what_another_release_adds_or_leaves_out_does_not_matter(
    stores: Stores, stored: dict[str, object], read: Route
) -> None:
    alice = await stores.user("alice")
    begun = await stores.begin(await stores.chat(alice), alice)
    async with stores.database.write() as session:
        await session.execute(update(TURNS).where(TURNS.c.id == begun.turn.id).values(routes=[stored]))
    assert (await stores.load(alice, begun)).turn.routes == (read,)


async def test_an_error_and_a_span_of_another_release_can_be_read(stores: Stores) -> None:
    alice = await stores.user("alice")
    begun = await stores.begin(await stores.chat(alice), alice)
    written = progress(begun, "See [1]", source(begun, 1, (0, 3)))
    await stores.turns.finish_turn(begun.turn.id, outcome(written, TurnStatus.FAILED))
    async with stores.database.write() as session:
        # Past the column's own type, as the other release has it.
        failed = "UPDATE turns SET error_code = 'TEAPOT', error_message = 'Short and stout.', error_retryable = TRUE"
        await session.execute(text(f"{failed} WHERE id = {begun.turn.id}"))
        await session.execute(update(SOURCES).values(spans=[[0, 3, "exact"]]))
    stored = await stores.load(alice, begun)
    assert stored.turn.error is not None
    assert (stored.turn.error.code, stored.turn.error.message) == (ErrorCode.INTERNAL, "Short and stout.")
    assert stored.answer.sources[0].spans == (Span(0, 3),)
