"""Notes of a conversation: what its user stated, word for word, and shortly what was asked and answered.

They are folded from the messages one after the other, and are as small after three hundred as after thirty: where there
is no room, the least telling is dropped first, and of that what was said again, then the oldest. The same messages give the same notes, whichever
part of them was folded when.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, Self

from domain.agents.facts import STATED, facts, opening, shortened
from domain.model import Role
from domain.terms import content_terms, terms

VERSION = 1
"""Rises when the same messages give other notes, or are written down otherwise: stored ones of before count for nothing."""
FACT_CHARACTERS, FACTS = 4_000, 60
"""What is kept of what the user stated."""
EXCHANGES = 8
"""Questions that are kept with the beginnings of their answers: the last ones."""
ASKED, ANSWERED = 120, 160
"""Characters of each."""

Picked = Mapping[int, Sequence[str]]
"""What a language model picked of some lines, by their places, word for word."""


class Said(Protocol):
    """One message of a conversation."""

    @property
    def role(self) -> Role: ...

    @property
    def text(self) -> str: ...

    @property
    def said_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Fact:
    """What the user stated, in their words. `weight` is how telling it is (domain.agents.facts)."""

    text: str
    weight: int
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, and how its answer began."""

    asked: str
    answered: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """Oldest first."""

    facts: tuple[Fact, ...] = ()
    exchanges: tuple[Exchange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.exchanges)

    def after(self, lines: Iterable[Said], picked: Picked | None = None) -> Self:
        """With what these lines add. Where a model `picked`, what people state of themselves is noted all the same: it
        may not be talked out of that."""
        notes = self
        for place, line in enumerate(lines):
            if line.role is Role.ASSISTANT:
                notes = notes._answered(line)
                continue
            found = facts(line.text)
            if picked is not None:
                stated = [(text, weight) for text, weight in found if weight == STATED]
                known = {text for text, _ in stated}
                found = (*stated, *((text, STATED) for text in picked.get(place, ()) if text not in known))
            for text, weight in found:
                notes = notes._stated(Fact(text, weight, line.said_at))
            notes = notes._asked(line)
        return notes

    def within(self, characters: int) -> Self:
        """The most telling of what the user stated, and nothing else."""
        return replace(self, facts=_kept(self.facts, FACTS, characters), exchanges=())

    def written(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "facts": [[it.text, it.weight, it.said_at.isoformat() if it.said_at else None] for it in self.facts],
            "exchanges": [[it.asked, it.answered] for it in self.exchanges],
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Raises ValueError for what `written` did not write."""
        try:
            return cls(
                tuple(
                    Fact(str(text), int(weight), datetime.fromisoformat(at) if at else None)
                    for text, weight, at in written["facts"]
                ),
                tuple(Exchange(str(asked), str(answered)) for asked, answered in written["exchanges"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("these are no notes") from error

    def _stated(self, fact: Fact) -> Self:
        """What is said again counts from when it was said last."""
        said = _words(fact.text)
        others = [it for it in self.facts if _words(it.text) != said]
        return replace(self, facts=_kept([*others, fact], FACTS, FACT_CHARACTERS))

    def _asked(self, line: Said) -> Self:
        exchange = Exchange(shortened(line.text, ASKED))
        return replace(self, exchanges=(*self.exchanges, exchange)[-EXCHANGES:])

    def _answered(self, line: Said) -> Self:
        if not self.exchanges:
            return self
        last = replace(self.exchanges[-1], answered=opening(line.text, ANSWERED))
        return replace(self, exchanges=(*self.exchanges[:-1], last))


def _kept(facts: Iterable[Fact], most: int, characters: int) -> tuple[Fact, ...]:
    """As many as there is room for: of the least telling, those go first of which much is said again later, the oldest
    first."""
    kept = list(facts)
    while len(kept) > most or sum(len(it.text) for it in kept) > characters:
        least = min(it.weight for it in kept)
        candidates = [place for place, it in enumerate(kept) if it.weight == least]
        said_again = (place for place in candidates if _is_said_again(kept[place], kept[place + 1 :]))
        del kept[next(said_again, candidates[0])]
    return tuple(kept)


def _is_said_again(fact: Fact, later: Iterable[Fact]) -> bool:
    said = _content(fact.text)
    return any(2 * len(said & _content(it.text)) > len(said) for it in later)


@lru_cache(maxsize=5_000)
def _words(text: str) -> tuple[str, ...]:
    return tuple(terms(text))


@lru_cache(maxsize=5_000)
def _content(text: str) -> frozenset[str]:
    return frozenset(content_terms(text))


NO_NOTES = Notes()
