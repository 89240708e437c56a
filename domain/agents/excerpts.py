"""Excerpts: what a source shows of its passage, around what the answer takes from it."""

from domain.agents.inert import inert_text
from domain.model import Span
from domain.terms import sentences

EXCERPT = 600
"""Characters that a source shows at most."""


def excerpt(text: str, around: Span | None = None) -> str:
    """Whole sentences of a passage, those of `around` among them, with … where something is left out; nothing in it is
    active."""
    shown = inert_text(text)
    if len(shown) <= EXCERPT:
        return shown
    if around is not None and shown != text:
        around = Span(len(inert_text(text[: around.start])), len(inert_text(text[: around.end])))
    start, end = _window(shown, around)
    cut = shown[start:end]
    if len(cut) > EXCERPT - 4:
        cut = cut[: EXCERPT - 4].rpartition(" ")[0] or cut[: EXCERPT - 4]
        end = start + len(cut)
    return f"{'… ' if start else ''}{cut.rstrip()}{' …' if end < len(shown) else ''}"


def _window(text: str, around: Span | None) -> tuple[int, int]:
    """From the beginning as long as that shows `around`; else from a sentence before it."""
    spans = sentences(text)
    if around is None or around.end <= EXCERPT - 4:
        start = 0
    else:
        starts = [span.start for span in spans if span.end <= around.start]
        start = starts[-1] if starts and around.end - starts[-1] <= EXCERPT - 4 else around.start
    ends = [span.end for span in spans if span.start >= start and span.end - start <= EXCERPT - 4]
    return start, ends[-1] if ends else len(text)
