"""Grounding: where a finished answer is cited, where the documents say so, and how much of it they support.

A sentence makes a statement unless it asks, announces (`The steps are:`) or holds no word that could be checked. It is
grounded when the passages that the answer cites support it (`domain.agents.support`), whether a marker stands behind
it or, as models often write, behind a later sentence of the same thought. What an answer says of its reader (`Your team
has 12 people`) and the reader said before needs no document, and is no statement.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.agents.markup import Code, Markers, MarkupReader
from domain.agents.state import Draft, TurnContext, TurnState
from domain.agents.support import Statement, support, together
from domain.knowledge import Passage
from domain.model import Source, Span
from domain.terms import sentences

LONG = 4_000
"""Characters of an answer from which on it is checked beside the event loop."""
ENOUGH = 0.5
"""An answer of which a smaller part is grounded says so."""
NOT_GROUNDED = "Note: this could not be checked against the documents."
PARTLY_GROUNDED = "Note: parts of this answer could not be checked against the documents."

_DENIES_THE_DOCUMENTS = re.compile(
    r"\b(?:documents?|documentation|passages?|sources?|guides?|information|context)\b.*\b(?:not|n['’]t|no|nothing)\b"
    r"|\b(?:not|n['’]t|no|nothing|unable)\b.*\b(?:documents?|documentation|passages?|sources?|guides?|information|context)\b",
    re.IGNORECASE | re.DOTALL,
)

_OF_THE_READER = re.compile(r"\byou(?:r|rs)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Citation:
    """One sentence of an answer (`answer`, without its markers) for which a source is cited, and the characters of the
    source's passage that support it, where any do."""

    ordinal: int
    answer: Span
    passage: Span | None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Of one answer. `statements` are the sentences that could be checked, `grounded` those that were found."""

    citations: tuple[Citation, ...]
    statements: int
    grounded: int

    @property
    def share(self) -> float | None:
        """None for an answer that states nothing."""
        return self.grounded / self.statements if self.statements else None


def grounding(text: str, sources: Mapping[int, Passage], told: Sequence[str] = ()) -> Grounding:
    """`sources` are the cited passages by their ordinals; `told` is what the reader said of themselves."""
    blank, markers = _without_markers(text)
    found = sentences(blank)
    cited: dict[int, list[int]] = {}
    for at, ordinals in markers:
        before = [place for place, sentence in enumerate(found) if sentence.start < at]
        if before:
            cited.setdefault(before[-1], []).extend(ordinals)
    citations: dict[tuple[int, Span], Citation] = {}
    statements = grounded = 0
    for place, sentence in enumerate(found):
        span = sentence.trimmed(blank)
        words = blank[span.start : span.end]
        statement = Statement.of(words)
        for ordinal in cited.get(place, ()):
            if (passage := sources.get(ordinal)) is not None:
                held = support(statement, passage.chunk.text, passage.chunk.title)
                citations.setdefault((ordinal, span), Citation(ordinal, span, held.span if held.enough else None))
        if statement.claims and not words.endswith(("?", ":")):
            is_grounded = _is_grounded(statement, sources, cited.get(place, ()))
            if is_grounded or not (_OF_THE_READER.search(words) and any(support(statement, it).enough for it in told)):
                statements += 1
                grounded += is_grounded
    return Grounding(tuple(citations.values()), statements, grounded)


def _is_grounded(statement: Statement, sources: Mapping[int, Passage], cited: Sequence[int]) -> bool:
    found = {n: support(statement, passage.chunk.text, passage.chunk.title) for n, passage in sources.items()}
    behind = together(statement, [found[ordinal] for ordinal in cited if ordinal in found])
    return behind.enough or any(one.enough for one in found.values())


def shortfall(text: str, found: Grounding) -> str:
    """What an answer says of itself when its support falls short; empty when it does not, and when all it says is that
    the documents do not tell."""
    share = found.share
    if share is None or share >= ENOUGH or (not found.citations and _DENIES_THE_DOCUMENTS.search(text)):
        return ""
    return PARTLY_GROUNDED if found.grounded else NOT_GROUNDED


async def _checked(draft: Draft, known: Sequence[str] = ()) -> Grounding:
    """A long one beside the event loop."""
    if len(draft.text) < LONG:
        return grounding(draft.text, draft.cited, known)
    return await asyncio.to_thread(grounding, draft.text, draft.cited, known)


async def cite(draft: Draft, state: TurnState, context: TurnContext) -> Draft:
    """Settles where each source is cited in the whole answer, and says where the support falls short."""
    if draft.model is None:  # it says what the desk says of itself
        return draft
    found = await _checked(draft)
    if shortfall(draft.text, found) and (facts := state["conversation"].known.facts):
        found = await _checked(draft, [fact.text for fact in facts])
    text = draft.text
    if note := shortfall(text, found):
        note = f"\n\n{note}"
        context.recorder.delta(note)
        text += note
    sources = tuple(_with_spans(source, found.citations, draft.cited[source.ordinal]) for source in draft.sources)
    return replace(draft, text=text, sources=sources, groundedness=found.share)


def _with_spans(source: Source, citations: Sequence[Citation], passage: Passage) -> Source:
    its = [citation for citation in citations if citation.ordinal == source.ordinal]
    begin = passage.chunk.start
    said = (None if begin is None or one.passage is None else one.passage.moved(begin) for one in its)
    return replace(source, spans=tuple(one.answer for one in its), document_spans=tuple(said))


def _without_markers(text: str) -> tuple[str, list[tuple[int, tuple[int, ...]]]]:
    """The text with spaces instead of markers and of blocks of code, so that places stay; and the markers' places."""
    reader, parts, markers, at = MarkupReader(), list[str](), list[tuple[int, tuple[int, ...]]](), 0
    for piece in (*reader.feed(text), *reader.end()):
        if isinstance(piece, Markers):
            markers.append((at + len(piece.text) - len(piece.text.lstrip()), piece.numbers))
            parts.append(" " * len(piece.text))
        elif isinstance(piece, Code) and "\n" in piece.text:
            parts.append(re.sub(r"[^\n]", " ", piece.text))
        else:
            parts.append(piece.text)
        at += len(piece.text)
    return "".join(parts), markers
