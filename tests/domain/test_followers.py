"""Following a turn: how its events come to who is far behind."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from domain.agents.state import Draft, TurnContext
from domain.followers import AT_ONCE
from tests.domain.turn_desk import Desk


async def test_a_long_replay_comes_in_pieces_and_lets_others_run(open_desk: Callable[..., Awaitable[Desk]]) -> None:
    async def long(context: TurnContext) -> Draft:
        for _ in range(2 * AT_ONCE):
            context.recorder.delta("so ")
        return Draft("so " * (2 * AT_ONCE))

    desk = await open_desk(long)
    turn = await desk.turns.send(desk.viewer, desk.chat.id, "So?")
    await desk.follow(turn.id)
    async with asyncio.timeout(5):
        while desk.log.reader(turn.id, 0) is not None:
            await asyncio.sleep(0.01)
    sizes: list[int] = []
    others: list[int] = []
    async with aclosing(desk.turns.follow(desk.viewer, turn.id)) as batches:
        async for batch in batches:
            assert len(others) == len(sizes), "what asked to run did so before the next piece"
            sizes.append(len(batch))
            asyncio.get_running_loop().call_soon(others.append, len(sizes))
    assert sizes == [AT_ONCE, AT_ONCE, 2], "its beginning, its deltas and its end"
