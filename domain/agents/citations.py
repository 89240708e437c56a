"""Citations: the [n] markers of an answer, checked while it streams.

A model numbers passages as it was shown them; readers see sources numbered by first use, each announced before the
delta that first cites it. A marker is held back until it is whole; one that names no passage is left out.
"""

import re
from dataclasses import replace

from langgraph.runtime import Runtime

from domain.agents.prompts import Numbered
from domain.agents.state import Draft, Recorder, TurnContext, TurnState
from domain.model import Source, Span
from domain.terms import sentences

EXCERPT = 600
"""Characters of a passage that its source shows."""

_MARKER = re.compile(r"\[\s*\d{1,3}(?:\s*,\s*\d{1,3})*\s*\]")
_UNFINISHED = re.compile(r"\[[\d,\s]{0,40}\Z")
_RUN = re.compile(r"(?:\s?\[\d{1,3}\])+")


class CitationWriter:
    """Turns a model's text into the answer's text and sources, as it comes."""

    def __init__(self, numbered: Numbered, message_id: int, recorder: Recorder) -> None:
        self._numbered = numbered
        self._message_id = message_id
        self._recorder = recorder
        self._held = ""
        self._parts: list[str] = []
        self._ordinals: dict[int, int] = {}
        self.sources: list[Source] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def feed(self, text: str) -> None:
        """Takes the next piece of the model's text and writes what is certain of it."""
        if not self._held and "[" not in text:
            self._tell(text)
            return
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        self._held = text[unfinished.start() :] if unfinished else ""
        self._write(text[: unfinished.start()] if unfinished else text)

    def end(self) -> None:
        """Writes what was held back: it was no marker after all."""
        held, self._held = self._held, ""
        self._write(held)

    def _write(self, text: str) -> None:
        known = len(self.sources)
        text = _MARKER.sub(self._renumber, text)
        if text and len(self.sources) > known:
            self._recorder.sources_found(tuple(self.sources))
        self._tell(text)

    def _tell(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._recorder.delta(text)

    def _renumber(self, marker: re.Match[str]) -> str:
        numbers = [int(digits) for digits in re.findall(r"\d+", marker[0])]
        return "".join(f"[{self._ordinal(n)}]" for n in numbers if 1 <= n <= len(self._numbered.passages))

    def _ordinal(self, number: int) -> int:
        if number not in self._ordinals:
            self._ordinals[number] = len(self._ordinals) + 1
            self.sources.append(self._source(number))
        return self._ordinals[number]

    def _source(self, number: int) -> Source:
        passage = self._numbered.passages[number - 1]
        chunk = passage.chunk
        excerpt = chunk.text if len(chunk.text) <= EXCERPT else chunk.text[: EXCERPT - 1].rstrip() + "…"
        return Source(
            message_id=self._message_id,
            ordinal=self._ordinals[number],
            agent=chunk.agent,
            document_id=chunk.document_id,
            title=chunk.title,
            url=chunk.url,
            excerpt=excerpt,
            score=passage.score,
        )


def cited_spans(text: str) -> dict[int, tuple[Span, ...]]:
    """For each ordinal, the sentences of `text` that it is cited for, as ranges without the markers.

    A run of markers belongs to the sentence that it stands in or right behind."""
    blank = _RUN.sub(lambda run: " " * len(run[0]), text)
    found = sentences(blank)
    spans: dict[int, dict[Span, None]] = {}
    for run in _RUN.finditer(text):
        before = [sentence for sentence in found if sentence.start < run.start()]
        if not before:
            continue
        last = before[-1]
        words = blank[last.start : last.end]
        span = Span(last.start + len(words) - len(words.lstrip()), last.start + len(words.rstrip()))
        for ordinal in re.findall(r"\d+", run[0]):
            spans.setdefault(int(ordinal), {})[span] = None
    return {ordinal: tuple(of) for ordinal, of in spans.items()}


async def cite(state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
    """Node `cite`: settles where each source is cited in the whole answer."""
    draft: Draft = state["draft"]
    spans = cited_spans(draft.text)
    sources = tuple(replace(source, spans=spans.get(source.ordinal, ())) for source in draft.sources)
    return {"draft": replace(draft, sources=sources)}
