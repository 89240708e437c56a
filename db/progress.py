"""What many running turns have written since the last time, saved at once.

Each statement runs once for all turns that it concerns: this happens twice a second for as long as anything streams.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from db.answers import write_answers
from db.clock import clock_ahead_by, microseconds
from db.rows import from_routes
from db.tables import TURNS
from domain.model import TurnStatus
from domain.records import TurnProgress

_STILL_RUNNING = (
    select(TURNS.c.id)
    .where(TURNS.c.id.in_(bindparam("ids", expanding=True)), TURNS.c.status == TurnStatus.RUNNING)
    .order_by(TURNS.c.id)  # the order in which they are locked, whoever locks several
    .with_for_update()
)
_RENEW = update(TURNS).where(TURNS.c.id == bindparam("of_turn")).values(lease_until=clock_ahead_by("lease"))
_SAVE = _RENEW.values({name: bindparam(f"new_{name}") for name in ("timeline", "standalone_question", "routes")})


def save_batch(connection: Connection, batch: Mapping[int, TurnProgress | None], lease: timedelta) -> set[int]:
    """See TurnStore.save_progress. The batch is not empty."""
    running = set(connection.scalars(_STILL_RUNNING, {"ids": _padded(sorted(batch))}))
    ahead = microseconds(lease)
    renewed = [{"of_turn": turn_id, "lease": ahead} for turn_id in sorted(running) if batch[turn_id] is None]
    saved = {turn_id: progress for turn_id in sorted(running) if (progress := batch[turn_id]) is not None}
    if renewed:
        connection.execute(_RENEW, renewed)
    if saved:
        rows = [{"of_turn": i, "lease": ahead, **_prefixed(progress_values(p))} for i, p in saved.items()]
        connection.execute(_SAVE, rows)
        write_answers(connection, {i: (p.text, p.sources) for i, p in saved.items()})
    return batch.keys() - running


def progress_values(progress: TurnProgress) -> dict[str, Any]:
    """What stands in the turn's own row."""
    return {
        "timeline": progress.timeline,
        "standalone_question": progress.standalone_question,
        "routes": from_routes(progress.routes),
    }


def _prefixed(values: dict[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in values.items()}


def _padded(ids: list[int]) -> list[int]:
    """Some twice, to a power of two: each number of ids is a statement of its own to prepare and to keep."""
    return ids + ids[-1:] * ((1 << (len(ids) - 1).bit_length()) - len(ids))
