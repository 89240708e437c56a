"""Citations: the [n] markers of an answer, checked while it streams.

A model numbers passages as it was shown them; readers see sources numbered by first use, each announced before the
delta that first cites it. A run of markers is held back until it is whole, and then checked against the sentence that
it stands behind (`domain.agents.support`): a marker whose passage does not support it, or does not exist, gives way to
the passage that does, and is left out where there is none. What a client could act on is made inert
(`domain.agents.inert`).
"""

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from domain.agents.excerpts import excerpt
from domain.agents.inert import hosts, inert
from domain.agents.leaks import INSTEAD, NO_INSTRUCTIONS, Instructions
from domain.agents.markup import Markers, MarkupReader, Piece
from domain.agents.prompts import Numbered
from domain.agents.state import Recorder
from domain.agents.support import NONE, Statement, Support, support, together
from domain.injections import WITHHELD
from domain.knowledge import Passage
from domain.model import Source
from domain.terms import sentences

TAIL = 1_000
"""Characters of a line that are looked back over for the sentence that a marker stands behind."""
CONTRIBUTES = 0.25
"""The part of a sentence that a passage must add to what better ones support to be cited beside them."""


class CitationWriter:
    """Turns a model's text into the answer's text and sources, as it comes."""

    def __init__(
        self, numbered: Numbered, message_id: int, recorder: Recorder, secret: Instructions = NO_INSTRUCTIONS
    ) -> None:
        """`secret` is what the answer must not tell."""
        self._passages = numbered.passages
        self._message_id = message_id
        self._recorder = recorder
        self._reader = MarkupReader()
        self._hosts = hosts(numbered.passages)
        self._text = StringIO()
        self._line = ""
        """The line that is being written, without its markers."""
        self._sentence = self._clause = 0
        """Where in it the sentence of the last marker begins, and where that marker stood."""
        self._watch = secret.watch()
        self._leaked = False
        self._ordinals: dict[int, int] = {}
        self.sources: list[Source] = []

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def cited(self) -> dict[int, Passage]:
        """The sources' passages, by their ordinals."""
        return {ordinal: self._passages[number - 1] for number, ordinal in self._ordinals.items()}

    def feed(self, text: str) -> None:
        """Takes the next piece of the model's text and writes what is certain of it."""
        self._write(self._reader.feed(text))

    def end(self) -> None:
        """Writes what was held back. Nothing may be fed any more."""
        self._write(self._reader.end())
        if self._leaked:
            self._tell(f"{' …' if self._text.tell() else ''} {INSTEAD}".lstrip())

    def _write(self, pieces: Sequence[Piece]) -> None:
        known = len(self.sources)
        text = "".join([self._written(piece) for piece in pieces])
        if len(self.sources) > known:
            self._recorder.sources_found(tuple(self.sources))
        if text:
            self._tell(text)

    def _tell(self, text: str) -> None:
        self._text.write(text)
        self._recorder.delta(text)

    def _written(self, piece: Piece) -> str:
        self._leaked = self._leaked or self._watch.leaks(piece.text)
        if self._leaked:
            return ""
        if isinstance(piece, Markers):
            return self._marked(piece)
        text = inert(piece, self._hosts)
        _, newline, rest = text.rpartition("\n")
        if newline:
            self._line, self._sentence, self._clause = rest, 0, 0
        else:
            self._line += text
        return text

    def _marked(self, piece: Markers) -> str:
        wanted = [number for number in dict.fromkeys(piece.numbers) if 1 <= number <= len(self._passages)]
        cited: Mapping[int, Support] = {}
        for statement in self._statements():
            if cited := self._checked(statement, wanted):
                break
        self._clause = len(self._line)
        space = piece.text[: piece.text.index("[")] if cited else ""
        return space + "".join(f"[{self._ordinal(number, found)}]" for number, found in cited.items())

    def _statements(self) -> Iterator[Statement]:
        """What a marker here stands behind: what was said since the marker before it, and the whole sentence."""
        start = max(self._sentence, len(self._line) - TAIL)
        found = sentences(self._line[start:])
        begin = self._sentence = start + found[-1].start if found else len(self._line)
        if begin < self._clause < len(self._line):
            clause = Statement.of(self._line[self._clause :])
            if clause.claims:
                yield clause
        yield Statement.of(self._line[begin:])

    def _checked(self, statement: Statement, wanted: Sequence[int]) -> Mapping[int, Support]:
        """The numbers to cite for a statement instead of those that the model wrote, each with its passage's support."""
        if not statement.claims:
            return dict.fromkeys(wanted, NONE)
        found = {number: self._support(statement, number) for number in wanted}
        kept, held = list[int](), frozenset[str]()
        for number in sorted(wanted, key=lambda number: -found[number].score):
            if found[number].enough or statement.share(found[number].held - held) >= CONTRIBUTES:
                kept.append(number)
                held |= found[number].held
        if together(statement, [found[number] for number in kept]).enough:
            return {number: found[number] for number in wanted if number in kept}
        numbers = range(1, len(self._passages) + 1)
        every = {number: found.get(number) or self._support(statement, number) for number in numbers}
        best = max(every, key=lambda number: every[number].score, default=None)
        return {best: every[best]} if best is not None and every[best].enough else {}

    def _support(self, statement: Statement, number: int) -> Support:
        chunk = self._passages[number - 1].chunk
        return support(statement, chunk.text, chunk.title)

    def _ordinal(self, number: int, found: Support) -> int:
        if number not in self._ordinals:
            self._ordinals[number] = len(self._ordinals) + 1
            self.sources.append(self._source(number, found))
        return self._ordinals[number]

    def _source(self, number: int, first: Support) -> Source:
        passage = self._passages[number - 1]
        chunk = passage.chunk
        return Source(
            message_id=self._message_id,
            ordinal=self._ordinals[number],
            agent=chunk.agent,
            document_id=chunk.document_id,
            title=chunk.title,
            url=chunk.url,
            excerpt=excerpt(chunk.text, first.span),
            score=passage.score,
            flagged=WITHHELD in chunk.text or WITHHELD in chunk.title,
        )
