"""Follow-ups made to stand alone: what a question leaves out is taken from the conversation, and nothing else is.

Pronouns are replaced by what they stand for when that is found; what is left out altogether (`how many users?`) is
appended in parentheses. Joining the whole conversation to a question finds worse passages than the question alone,
so at most a phrase is ever appended. What was said before the window counts only where nothing in it does.
"""

import re
from collections import Counter
from collections.abc import Sequence

from langgraph.runtime import Runtime

from domain.agents.catalog import Agent
from domain.agents.mentions import (
    AUXILIARIES,
    EMPTY,
    LIGHT,
    VERBS,
    Mention,
    is_name,
    mentions,
    names_in,
    reduced,
    tokens,
)
from domain.agents.recollection import meant_by
from domain.agents.references import PERSON, Gap, Memory, gaps, means_an_action
from domain.agents.small_talk import small_talk
from domain.agents.state import Conversation, TurnContext, TurnState
from domain.errors import SearchUnavailable
from domain.knowledge import Reader
from domain.model import Role
from domain.ports import Retriever
from domain.terms import FUNCTION_WORDS, content_terms, terms

REMEMBERED = 24
"""Messages looked back over."""
OPENING = 800
"""Characters of an answer that are read for what it speaks of: answers say that first."""
SWAPPED = 3
"""Questions looked back over for what `what about …?` changes."""
NAMES = 2
"""Names of the last answer that `what else …?` is told."""
ALIKE = 0.2
"""Two words are of one kind when they share this much of their neighbours in the documents."""

_ADDITION = re.compile(
    r"^(?:and|or|but|also|then|so|plus|what about|how about)\b|(?<!nothing )\b(?:else|instead|otherwise)\b"
    r"|\b(?:any|some|no|the|what|which) others?\b|^(?:and )?(?:why|how|when|where|who)(?: so| not| many| much| long)?\s*\?*$",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"^(?:and|or|but|so|ok|okay)?[,\s]*(?P<lead>what about|how about|and|or)\s+(?:(?:for|on|with|in|at|by)\s+)?"
    r"(?P<the>(?:the|a|an)\s+)?(?P<what>[^?,.;]+?)(?:\s+(?:then|instead|too))?\s*\?*$",
    re.IGNORECASE,
)
_FURTHER = re.compile(
    r"\b(?:(?:what|who|where|when|why|how|anything|something)(?:['’]s)? else|anymore)\b"
    r"|\b(?:any|some|no|what|which|are there|were there) others?\b(?!.*\bbesides\b)",
    re.IGNORECASE,
)
_APPENDED = re.compile(r" \([^()]*\)$")
_MARKER = re.compile(r"\s?\[\d+\]")
_ASKING = re.compile(
    r"^(?:(?:and|so|but|ok|please|hi|hello)[,\s]+)*(?:(?:how|what|when|where|why|which|who)\b\s*)?(?:(?:do|does|did|can|could"
    r"|should|would|will|is|are|was|were|must|may|to)\b\s*)?(?:(?:i|we|you|one|there)\b\s*)?(?:tell me\s+)?",
    re.IGNORECASE,
)


class Rewriter:
    """Node `rewrite`. Deterministic; a question that stands alone comes back word for word, and every question does while
    the search fails. Raises SearchUnavailable then, unless some agent answers without a search."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def __call__(self, state: TurnState, runtime: Runtime[TurnContext]) -> TurnState:
        context = runtime.context
        question = state["settled"].question
        try:
            question = await self.rewrite(question, state["conversation"], context.agents, context.reader)
        except SearchUnavailable:
            if not any(agent.answers_without_search for agent in context.agents):
                raise
        return {"standalone_question": question}

    async def rewrite(self, question: str, conversation: Conversation, agents: Sequence[Agent], reader: Reader) -> str:
        memory = Memory([], set())
        asked: list[str] = []
        lines = conversation.lines[-REMEMBERED:]
        recent = len(lines) - 2 * SWAPPED
        names = memory.names = frozenset[str]().union(*(names_in(line.text[:OPENING]) for line in lines))
        for number, line in enumerate(lines):
            text = line.text
            if line.role is Role.USER:
                # The documents are asked only for those questions that a follow-up may still change.
                if any(not gap.head for gap in gaps(text)):
                    memory.pointing.add(number)
                text = await self._resolve(text, memory, asked, agents if number >= recent else (), reader)
                asked.append(text)
            if text != line.text:
                # What was appended is a guess: it must not become what is spoken of because it was guessed once.
                text = _APPENDED.sub("", text)
            said = _MARKER.sub("", text)[:OPENING]
            if line.role is Role.ASSISTANT and number and lines[number - 1].role is Role.USER:
                memory.join(lines[number - 1].text, mentions(asked[-1], number - 1, Role.USER, names), said)
            memory.told.extend(mentions(said, number, line.role, names))
        text = await self._resolve(question, memory, asked, agents, reader)
        if asked and _FURTHER.search(question) and not small_talk(question):
            text = _beside(text, [name.text for name in memory.answered()])
        meant = meant_by(question, conversation) if text == question else None
        return text if meant is None else _appended(text, meant)

    async def _resolve(
        self, question: str, memory: Memory, asked: Sequence[str], agents: Sequence[Agent], reader: Reader
    ) -> str:
        if not asked or not question.strip() or small_talk(question) or _again(question, asked):
            return question
        if what := _other(question):
            return await self._swap(question, what, asked, agents, reader)
        open_gaps = gaps(question)
        if means_an_action(question) or (len(open_gaps) == 1 and _is_bare(open_gaps[0])):
            return _appended(question, _ASKING.sub("", asked[-1]).strip(" ?.!"))
        text, filled = _filled(question, open_gaps, memory)
        if not open_gaps:
            text = _named_fully(question, memory)
        if any(gap.word in PERSON for gap in open_gaps):
            return text
        if (open_gaps and not filled) or (text == question and not open_gaps and _leaves_out(question)):
            topic = memory.topic(question)
            if topic is not None and await self._belongs(question, topic, agents, reader):
                text = _appended(text, topic.text)
        return text

    async def _swap(
        self, question: str, what: str, asked: Sequence[str], agents: Sequence[Agent], reader: Reader
    ) -> str:
        """`What about micro?`: the last question that speaks of something like it, with `micro` in its place."""
        head = reduced(tokens(what)[-1])
        for before in reversed(asked[-SWAPPED:]):
            spoken = mentions(before, 0, Role.USER)
            for mention in reversed(spoken):
                if mention.head == head and mention.stems != (head,):
                    return _replaced(before, mention.text, what)
            names = [mention for mention in spoken if mention.named]
            if is_name(what) and names:
                return _replaced(before, names[-1].text, what)
            if alike := await self._kind(what, [word for mention in spoken for word in mention.words], agents, reader):
                return _replaced(before, alike, what)
        return _appended(question, _ASKING.sub("", asked[-1]).strip(" ?.!"))

    async def _kind(self, what: str, words: Sequence[str], agents: Sequence[Agent], reader: Reader) -> str | None:
        """The one of `words` that stands between the same neighbours in the documents as `what` does."""
        texts = [
            passage.chunk.text
            for agent in agents
            for passage in await self._retriever.search(agent.name, f"{what} {' '.join(words)}", 8, reader)
        ]
        read = [terms(text) for text in texts]
        wanted = _neighbours(read, reduced(tokens(what)[0]))
        scored = {word: _shared(wanted, _neighbours(read, reduced(word))) for word in words}
        best = max(scored, key=lambda word: scored[word], default=None)
        return best if best is not None and scored[best] >= ALIKE else None

    async def _belongs(self, question: str, topic: Mention, agents: Sequence[Agent], reader: Reader) -> bool:
        """Whether some document speaks of the question's words and the topic's together. Without documents: yes."""
        asked, about = _telling(question), set(topic.stems)
        things = {m.head for m in mentions(question, -1, Role.USER) if _is_bare_thing(m)}
        if not asked:
            return True
        known = False
        for agent in agents:
            for passage in await self._retriever.search(agent.name, f"{question} {topic.text}", 5, reader):
                known = True
                held = set(terms(f"{passage.chunk.title} {passage.chunk.text}"))
                if 2 * len(asked & held) >= len(asked) and about & held and things <= held:
                    return True
        return not known


def _again(question: str, asked: Sequence[str]) -> bool:
    """Whether it was asked before in the same words, when it stood alone."""
    words = terms(question)
    return any(words == terms(before) for before in asked)


def _is_bare(gap: Gap) -> bool:
    """`Can I undo that?`: a whole action is meant, not a thing."""
    return gap.word in ("this", "that") and not gap.head


def _other(question: str) -> str | None:
    """What `what about …?` asks for; None for any other question."""
    match = _ABOUT.match(question.strip())
    if match is None:
        return None
    words = match["what"].split()
    bare = match["lead"].casefold() in ("and", "or")
    if bare and match["the"]:
        return None
    if len(words) > (3 if bare else 5) or any(word.casefold() in FUNCTION_WORDS for word in words[: 3 if bare else 1]):
        return None
    return match["what"]


def _filled(question: str, open_gaps: Sequence[Gap], memory: Memory) -> tuple[str, bool]:
    text, filled = question, False
    for gap in reversed(open_gaps):
        referent = memory.referent(gap, question)
        if referent is not None:
            written = referent.text
            if referent.named:
                written = re.sub(r"['’]s$", "", written)
            if not referent.named or gap.head:
                kept = referent.determiner if referent.determiner in ("my", "our", "your") else "the"
                written = f"{kept} {written}"
            if gap.owning:
                written += "'" if written.endswith("s") and referent.plural and not referent.named else "'s"
            text, filled = text[: gap.start] + written + text[gap.end :], True
    return (text[:1].upper() + text[1:] if filled and question[:1].isupper() else text), filled


def _named_fully(question: str, memory: Memory) -> str:
    """`Did Lake marry?` → `Did Patricia Lake marry?`, and `the premiere` by the longer name that it had."""
    for mention in mentions(question, -1, Role.USER):
        if mention.named and len(mention.words) == 1:
            full = memory.fullest(mention)
            if len(full.words) > 1:
                return _replaced(question, mention.text, full.text)
    return question


def _leaves_out(question: str) -> bool:
    """Too little to stand alone: it only adds to what was asked, names at most one thing, or speaks of `the` thing without
    saying of what."""
    if _ADDITION.search(question.strip()):
        return True
    telling = _telling(question)
    spoken = mentions(question, -1, Role.USER)
    if not telling:
        return True
    if any(mention.named for mention in spoken):
        return False
    words = {word.casefold() for word in tokens(question)}
    if not words & AUXILIARIES and not any(reduced(word) in VERBS for word in words):
        return len(telling) <= 2
    return len(telling) <= 3 and any(map(_is_bare_thing, spoken))


def _telling(question: str) -> set[str]:
    """The terms that say what is asked."""
    return {term for term in content_terms(question) if term not in EMPTY and term not in LIGHT}


def _is_bare_thing(mention: Mention) -> bool:
    """`the movie`, without saying which."""
    return mention.determiner == "the" and len(mention.words) == 1


def _appended(question: str, addition: str) -> str:
    known = set(terms(question))
    return f"{question.rstrip()} ({addition})" if set(terms(addition)) - known else question


def _beside(question: str, names: Sequence[str]) -> str:
    """`What else …?` with the names that the answer before gave: what is asked for is something like them."""
    known = set(terms(question))
    names = [name for name in names if set(terms(name)) - known][:NAMES]
    if not names:
        return question
    if question.endswith(")"):
        return f"{question[:-1]}, {', '.join(names)})"
    return f"{question.rstrip()} ({', '.join(names)})"


def _replaced(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text, count=1)


def _neighbours(read: Sequence[Sequence[str]], stem: str) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for words in read:
        for i, word in enumerate(words):
            if word == stem:
                found.update((d, words[i + d]) for d in (-1, 1) if 0 <= i + d < len(words))
    return found


def _shared(one: Counter[tuple[int, str]], other: Counter[tuple[int, str]]) -> float:
    """Weighted Jaccard overlap of what stands beside two words, each counted to a sum of 1."""
    ones, others = sum(one.values()), sum(other.values())
    return (
        sum(min(one[key] / ones, other[key] / others) for key in one.keys() & other.keys()) if ones and others else 0.0
    )
