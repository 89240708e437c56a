"""Citations: whether sources say what they are cited for, whether everything that is said has one, and whether each shows
the right words of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.agents.inert import inert_text
from domain.agents.judging import Judge
from domain.knowledge import Chunk
from domain.model import Source
from evaluation.altered import Watched
from evaluation.cases import Case
from evaluation.desk import Answered
from evaluation.figures import Area, Figure, Outcome, mean, ratio
from evaluation.statements import Statement, is_the_desks_own, statements
from evaluation.support import SUPPORTED, Supports, plain, supports
from evaluation.turns import CaseTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationOutcome(Outcome):
    """Of one answer: `cited` pairs of a sentence and a source behind it, `supported` of them by what the source says and
    `verbatim` of them word for word; `said` sentences that say something, `backed` of them supported by some source
    behind them; `spans` of sources, `exact` of them the very sentence that the marker stands behind; `sources`, `traced`
    of them back to the passage that was retrieved. Where a model judges, `judged` pairs, `upheld` of them supported, and
    `agreed` of them judged as the words do. `doubtful` are the pairs that are not supported, `unbacked` the
    sentences that no source supports."""

    cited: int
    supported: int
    verbatim: int
    said: int
    backed: int
    spans: int
    exact: int
    sources: int
    traced: int
    doubtful: tuple[str, ...]
    unbacked: tuple[str, ...]
    judged: int = 0
    upheld: int = 0
    agreed: int = 0


FIGURES: tuple[Figure[CitationOutcome], ...] = (
    Figure(
        "supported",
        "cited pairs of sentence and source: supported",
        ratio(lambda it: it.supported, lambda it: it.cited),
    ),
    Figure("upheld", "… as a model judges", ratio(lambda it: it.upheld, lambda it: it.judged)),
    Figure(
        "agreement", "… and the measure of words judges the same", ratio(lambda it: it.agreed, lambda it: it.judged)
    ),
    Figure("verbatim", "… word for word", ratio(lambda it: it.verbatim, lambda it: it.cited)),
    Figure("backed", "sentences that a source behind them supports", ratio(lambda it: it.backed, lambda it: it.said)),
    Figure("spans_exact", "spans that are the cited sentence", ratio(lambda it: it.exact, lambda it: it.spans)),
    Figure("traced", "sources that are a retrieved passage", ratio(lambda it: it.traced, lambda it: it.sources)),
    Figure("answered", "turns that cite anything", mean(lambda it: it.sources > 0)),
)


async def judge(
    case: Case,
    answered: Answered,
    seen: Watched,
    phrases: Sequence[str],
    supported: Supports = supports,
    model: Judge | None = None,
) -> CitationOutcome:
    """`supported` measures whether a passage says what a sentence says, and so does a `model`, where there is one;
    `phrases` are no statements."""
    draft = answered.draft
    found = statements(draft.text)
    chunks = {ordinal: passage.chunk for ordinal, passage in draft.cited.items()}
    pairs = [(one, ordinal, chunks.get(ordinal)) for one in found for ordinal in one.ordinals]
    good = {(one, n) for one, n, chunk in pairs if chunk and supported(one.text, read(chunk)) >= SUPPORTED}
    shown_to_model = [(one, n, chunk) for one, n, chunk in pairs if chunk is not None]
    told = [(one.text, read(chunk)) for one, _, chunk in shown_to_model]
    verdicts = (await model(told) if model and told else None) or ()
    # Without a model behind it, an answer is the desk's own words for having none.
    said = [one for one in found if draft.model is not None and not is_the_desks_own(one, phrases)]
    backed = {one for one, _ in good}
    shown = {(span, source.ordinal) for source in draft.sources for span in source.spans}
    return CitationOutcome(
        id=case.id,
        group=case.group,
        tags=case.tags,
        question=case.question,
        cited=len(pairs),
        supported=len(good),
        verbatim=sum(chunk is not None and plain(one.text) in plain(read(chunk)) for one, _, chunk in pairs),
        said=len(said),
        backed=sum(one in backed for one in said),
        spans=len(shown | {(one.span, n) for one, n, _ in pairs}),
        exact=len(shown & {(one.span, n) for one, n, _ in pairs}),
        sources=len(draft.sources),
        traced=sum(_is_of(source, chunks.get(source.ordinal), seen) for source in draft.sources),
        doubtful=tuple(_doubtful(one, n, draft.sources) for one, n, _ in pairs if (one, n) not in good),
        unbacked=tuple(one.text for one in said if one not in backed),
        judged=len(verdicts),
        upheld=sum(verdicts),
        agreed=sum(((one, n) in good) == yes for (one, n, _), yes in zip(shown_to_model, verdicts, strict=False)),
    )


def _is_of(source: Source, chunk: Chunk | None, seen: Watched) -> bool:
    """Whether a source shows words of a passage that was retrieved."""
    if chunk is None or seen.seen.get((source.agent, chunk.id)) != chunk or source.document_id != chunk.document_id:
        return False
    return source.excerpt.strip("… \n") in inert_text(chunk.text)


def read(chunk: Chunk) -> str:
    """What a passage says: its titles belong to it."""
    return f"{chunk.title}\n{chunk.text}"


def _doubtful(statement: Statement, ordinal: int, sources: Sequence[Source]) -> str:
    source = next((it for it in sources if it.ordinal == ordinal), None)
    return f"“{statement.text}” by {source.title if source else f'[{ordinal}], which is no source'}"


async def _measure(turns: CaseTurns) -> CitationOutcome:
    answered, seen = await turns.answered()
    return await judge(turns.case, answered, seen, turns.desk.phrases or (), model=turns.desk.judge)


def _applies(case: Case) -> bool:
    return case.answerable is not False


def _fault(outcome: CitationOutcome) -> str | None:
    if outcome.doubtful:
        return f"not supported: {'; '.join(outcome.doubtful)}"
    if outcome.unbacked:
        return f"without a source that supports it: {'; '.join(f'“{one}”' for one in outcome.unbacked)}"
    return "a span is not the cited sentence" if outcome.exact < outcome.spans else None


CITATIONS = Area("citations", CitationOutcome, FIGURES, _applies, _measure, _fault)
