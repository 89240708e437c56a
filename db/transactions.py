"""What makes a store's method one transaction, whole or not at all."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from db.failures import WriteConflict

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 5
"""How often a transaction is tried that collides with others each time."""


def one_transaction(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a store's method, which is short: it is run again when it collided with another transaction, and to its
    end though its caller be cancelled, who hears of that afterwards. A commit that is cut off may or may not have
    happened, and drivers that are cut off in the middle of a statement lose their connection, or the lock it holds.
    """

    async def attempts(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await method(*args, **kwargs)
            except WriteConflict:
                continue
        return await method(*args, **kwargs)

    @wraps(method)
    async def to_its_end(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(attempts(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
        raise cancelled from (None if task.cancelled() else task.exception())

    return to_its_end
