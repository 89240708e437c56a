"""Writes one running turn: every event to the turn log at once, and what was written to the store as it grows."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from domain.errors import DatabaseUnavailable, ModelUnavailable, NotFound
from domain.events import AnswerDelta, RouteChosen, SourcesFound, TurnCompleted, TurnEnded, TurnEvent, TurnStarted
from domain.model import Route, Source, TurnError, TurnStatus, Usage
from domain.ports import TurnLog, TurnStore
from domain.records import BegunTurn, TurnOutcome, TurnProgress
from domain.replay import ROUTED, STARTED
from domain.saver import TurnSaver

FINISH_ATTEMPTS = 5

_log = structlog.get_logger()


class TurnRecorder:
    """One turn's writer. Belongs to the turn's task; the saver writes on what it holds while the turn waits or runs. What
    is written before `start` is told then."""

    def __init__(
        self,
        begun: BegunTurn,
        store: TurnStore,
        log: TurnLog,
        saver: TurnSaver,
        lease: timedelta,
        max_characters: int,
    ) -> None:
        self._turn_id = begun.turn.id
        self._store = store
        self._log = log
        self._saver = saver
        self._lease = lease
        self._room = max_characters
        self._seq = 0
        self._timeline: list[str] = []
        self._parts: list[str] = []
        self._standalone: str | None = None
        self._routes: tuple[Route, ...] = ()
        self._sources: tuple[Source, ...] = ()
        self._first_token_at: datetime | None = None
        self._offered: tuple[int, tuple[Source, ...]] = (self._seq, self._sources)
        self._stored: tuple[int, tuple[Source, ...]] = (self._seq, self._sources)
        """What the store holds, and what it was given to hold: up to which event, and which sources."""
        self._held: list[TurnEvent] = [TurnStarted(self._next(STARTED), self._turn_id, begun.user_message)]
        self._tell: Callable[[TurnEvent], None] = self._held.append
        self.heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the first text, or the end."""

    async def start(self, lost: Callable[[], None]) -> None:
        """Opens the log with TurnStarted, and what was written by now. `lost` is called when the turn turns out not to be
        ours any more."""
        await self._log.open(self._turn_id)
        self._tell = partial(self._log.append, self._turn_id)
        for event in self._held:
            self._tell(event)
        self._held = []
        self._saver.keep(self._turn_id, self, lost)

    # ------------------------------------------------------------ what the workflow's nodes write

    def route_chosen(self, routes: Sequence[Route], standalone_question: str) -> None:
        self._routes, self._standalone = tuple(routes), standalone_question
        self._tell(RouteChosen(self._next(ROUTED), self._turn_id, self._routes, standalone_question))

    def sources_found(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        self._tell(SourcesFound(self._next(f"-{len(sources)}"), self._turn_id, self._sources))

    def delta(self, text: str) -> None:
        """Raises ModelUnavailable once the answer outgrows its bound."""
        text = _storable(text)
        if not text:
            return
        if len(text) > self._room:
            raise ModelUnavailable("The answer grew too long and was cut off.")
        self._room -= len(text)
        if self._first_token_at is None:
            self._first_token_at = datetime.now(UTC)
            self._is_heard()
        self._parts.append(text)
        self._tell(AnswerDelta(self._next(str(len(text))), self._turn_id, text))

    # ------------------------------------------------------------ the end

    async def finish(
        self,
        status: TurnStatus,
        sources: Sequence[Source] | None = None,
        usage: Usage | None = None,
        model: str | None = None,
        error: TurnError | None = None,
        groundedness: float | None = None,
    ) -> None:
        """Stores the end, then tells the followers: who sees the last event can read the stored turn. `sources` are
        those that were found, now with their spans."""
        self._saver.forget(self._turn_id)
        self._is_heard()
        if sources is not None:
            self._sources = tuple(sources)
        outcome = TurnOutcome(
            status, self._progress(self._sources), usage, error, model, self._first_token_at, groundedness
        )
        for attempt in range(1, FINISH_ATTEMPTS + 1):
            try:
                stored = await self._store.finish_turn(self._turn_id, outcome)
                break
            except DatabaseUnavailable as failure:
                _log.warning("turn_not_stored", turn_id=self._turn_id, attempt=attempt)
                if attempt == FINISH_ATTEMPTS:
                    self._log.drop(self._turn_id, failure)
                    return
                await asyncio.sleep(self._lease.total_seconds() / 3 / FINISH_ATTEMPTS * attempt)
        if stored is None:
            self._log.drop(self._turn_id, NotFound("This turn is not here any more."))
            return
        seq = self._next("")
        if stored.turn.status is TurnStatus.COMPLETED:
            self._tell(TurnCompleted(seq, self._turn_id, stored.answer))
        else:
            self._tell(TurnEnded(seq, self._turn_id, stored.turn.status, stored.answer, stored.turn.error))

    # ------------------------------------------------------------ what the saver reads

    def unsaved(self) -> TurnProgress | None:
        seq, sources = self._stored
        if seq == self._seq:
            return None
        self._offered = (self._seq, self._sources)
        return self._progress(None if sources is self._sources else self._sources)

    def saved(self) -> None:
        self._stored = self._offered

    # ------------------------------------------------------------ inside

    def _is_heard(self) -> None:
        if not self.heard.done():
            self.heard.set_result(None)

    def _next(self, word: str) -> int:
        self._seq += 1
        if word:
            self._timeline.append(word)
        return self._seq

    def _progress(self, sources: tuple[Source, ...] | None) -> TurnProgress:
        self._parts = ["".join(self._parts)]
        self._timeline = [" ".join(self._timeline)]
        return TurnProgress(self._parts[0], self._timeline[0], self._standalone, self._routes, sources)


def _storable(text: str) -> str:
    """Any model's text as every database can keep it: no NUL, no lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="replace").decode()
    return text
