"""Routes that were stored before they said who had decided."""

import pytest
from sqlalchemy import update

from db.tables import TURNS
from domain.model import RouteMethod
from tests.stores import Stores


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
