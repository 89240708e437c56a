"""What a conversation speaks of: the noun phrases of its lines, found without a parser.

English marks the edges of a noun phrase with a small closed class of words (articles, prepositions, pronouns,
auxiliaries), so a run of words between such edges is taken for one; capitals inside a sentence mark names.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from domain.model import Role
from domain.terms import FUNCTION_WORDS, stem

WORD = re.compile(r"[^\W_](?:[\w.'’/-]*\w)?[!]?|[,;:?.()]")
MESSAGES = 1_000
"""How many messages are remembered with what they mention: each turn reads those before it again."""
_POSSESSIVE = re.compile(r"['’]s?$")


def words_of(text: str, by: Callable[[str], str] = str) -> frozenset[str]:
    """A closed class of words, written in a row; `by` says how they are compared."""
    return frozenset(by(word) for word in text.split())


DETERMINERS = words_of("a an the this that these those my our your his her its their any some each every no")
AUXILIARIES = words_of(
    """am is are was were be been do does did done have has had can could will would shall should may might must
    isn't aren't wasn't weren't don't doesn't didn't haven't hasn't can't couldn't won't wouldn't shouldn't"""
)
_PLACE = words_of("in at from to on by near into onto through during after before since until for with")
_ORIGIN = re.compile(r"^[A-Z][a-z]+(?:ian|ean|ish|ese)$")
"""A name that says where or when something is of: `the European plan`."""
_SETTING = words_of("in at on near into through during since until")
_EDGES = words_of(
    """
    against among along around across behind beyond despite toward towards besides beside outside inside throughout until
    since however therefore meanwhile moreover although later once always often never perhaps also instead finally
    """
)
VERBS = words_of(
    """
    get got make made go went gone come came use used find found need want mean happen happened cost include included
    take took give gave given know knew think thought say said see saw seen begin began become became create keep kept
    put read run show work worked call called let leave left help set send sent try tried ask change add start stop
    explain describe list compare differ play played win won write wrote written live lived die died marry born raise
    release released join joined perform performed receive received attend attended accomplish consider allow accept
    expire reset cancel pay buy sell choose upgrade delete remove connect hold contain integrate
    cover decide possible available exactly currently able
    """,
    stem,
)
LIGHT = words_of(
    """
    get got make made go went gone come came use used find need want mean happen happened include included take
    took give gave given know knew think thought say said see saw seen begin began become became keep kept put work
    worked try tried ask like look seem possible available exactly currently able
    """,
    stem,
)
"""Verbs that say next to nothing about what is asked."""
EMPTY = words_of(
    """
    thing way kind sort type lot bit example information detail details article aspect interesting question answer
    time year day month first last next new different important good best better main certain significant
    january february march april june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday today tomorrow yesterday
    """,
    stem,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A noun phrase as it was written. `line` counts from the conversation's first line; `located` says that it
    followed a preposition, so it is more often a place, a time or a means than what is spoken of; `leading`, that it
    opened a sentence, so it is more often what the sentence is about; `acting`, that a verb follows it, or in a question comes
    before; `setting`, that it is where or when something was, as `in` and `at` say, or goes on a list of such."""

    words: tuple[str, ...]
    line: int
    role: Role
    named: bool
    located: bool
    determiner: str = ""
    leading: bool = False
    owner: bool = False
    acting: bool = False
    setting: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def stems(self) -> tuple[str, ...]:
        return _stems(self.words)

    @property
    def head(self) -> str:
        return self.stems[-1]

    @property
    def plural(self) -> bool:
        last = self.words[-1].casefold()
        return last.endswith("s") and not last.endswith(("ss", "us", "is"))


@lru_cache(maxsize=20_000)
def reduced(word: str) -> str:
    """The stem that a written word is compared by; possessive endings do not count."""
    return stem(_POSSESSIVE.sub("", word.casefold()).strip("!"))


@lru_cache(maxsize=20_000)
def _stems(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(reduced, words))


def tokens(text: str) -> list[str]:
    """Words and punctuation marks, as written."""
    return WORD.findall(text)


def is_name(word: str) -> bool:
    """Written with a capital (or a digit beside letters), so a name unless it opens a sentence."""
    return word[:1].isupper()


@lru_cache(maxsize=MESSAGES)
def names_in(text: str) -> frozenset[str]:
    """Words with a capital inside of a sentence: names, wherever else they stand."""
    words = tokens(text)
    return frozenset(
        word
        for before, word in pairwise(_POSSESSIVE.sub("", word) for word in words)
        if before[0].isalnum() and is_name(word) and not _between(word)
    )


def mentions(text: str, line: int, role: Role, names: frozenset[str] = frozenset()) -> list[Mention]:
    """The noun phrases of one message, in order. `names` are known, so that they are names at the beginning of a sentence
    too, where every word has a capital."""
    found = _mentions(text, role, names & _openings(text))
    return [replace(mention, line=line) for mention in found] if line else list(found)


@lru_cache(maxsize=MESSAGES)
def _openings(text: str) -> frozenset[str]:
    """The words that open a run of words, of which it matters whether they are names."""
    return frozenset(run[0] for run, _, _, opens in _runs(tokens(text)) if opens)


@lru_cache(maxsize=MESSAGES)
def _mentions(text: str, role: Role, names: frozenset[str]) -> tuple[Mention, ...]:
    found: list[Mention] = []
    setting = named = False
    for run, before, after, opens in _runs(tokens(text)):
        last = before[-1:] if before[-1:] and before[-1] not in DETERMINERS else before[:1]
        goes_on = setting and named and not opens and before[-1:] in ([","], ["and"], ["or"])
        phrases = list(_phrases(run, before, after, opens and run[0] not in names, role, opens))
        setting = bool(_SETTING & set(last)) or (goes_on and not any(phrase.acting for phrase in phrases))
        named = bool(phrases) and phrases[-1].named
        if setting and phrases:
            phrases[0] = replace(phrases[0], setting=True)
        found += phrases
    return tuple(found)


def _runs(words: Sequence[str]) -> Iterator[tuple[list[str], list[str], str, bool]]:
    """Runs of words between edges, with up to two words before each, the one after it, and whether the run opens a
    sentence."""
    run: list[str] = []
    start = 0
    for i, word in enumerate([*words, "."]):
        edge = not word[0].isalnum() or (_between(word) and not (run and _inside(words, i)))
        if not edge:
            if not run:
                start = i
            run.append(word)
        elif run:
            before = [w.casefold() for w in words[max(0, start - 2) : start]]
            yield run, before, word.casefold(), start == 0 or words[start - 1] in ".?"
            run = []


@lru_cache(maxsize=20_000)
def _between(word: str) -> bool:
    folded = _POSSESSIVE.sub("", word.casefold())
    return folded in _EDGES or re.sub("['’]", "", folded) in FUNCTION_WORDS


def _inside(words: Sequence[str], i: int) -> bool:
    """A capitalised word after a name belongs to the name, even one like May."""
    return (
        i < len(words)
        and is_name(words[i])
        and i > 0
        and is_name(words[i - 1])
        and words[i - 1].casefold() not in FUNCTION_WORDS
    )


def _phrases(
    run: list[str], before: list[str], after: str, uncertain: bool, role: Role, opens: bool
) -> Iterator[Mention]:
    last = before[-1] if before else ""
    determiner = last if last in DETERMINERS else ""
    located = last in _PLACE or (bool(determiner) and len(before) > 1 and before[0] in _PLACE)
    piece: list[str] = []
    pieces: list[list[str]] = []
    owners: set[int] = set()
    acting: set[int] = set()
    for i, word in enumerate(run):
        named = is_name(word) and not (uncertain and i == 0 and len(run) > 1 and not is_name(run[1]))
        cut = reduced(word) in VERBS and not named and not (determiner and not piece)
        switch = (
            bool(piece)
            and named != _named(piece)
            and not ((determiner and _completes(piece, word)) or _of(piece, word))
        )
        if switch or cut:
            if piece:
                if cut or word.casefold().endswith("ed"):
                    acting.add(len(pieces))
                pieces.append(piece)
            piece = []
        if not cut:
            piece.append(_POSSESSIVE.sub("", word))
        if piece and _POSSESSIVE.search(word):
            owners.add(len(pieces))
            pieces.append(piece)
            piece = []
    if piece:
        if after in AUXILIARIES:
            acting.add(len(pieces))
        pieces.append(piece)
    for number, piece in enumerate(pieces):
        while len(piece) > 1 and piece[0].isdigit() and not is_name(piece[1]):
            piece = piece[1:]
        if all(reduced(word) in EMPTY for word in piece) or not any(c.isalpha() for c in "".join(piece)):
            continue
        named = _named(piece) and not (
            uncertain and number == 0 and len(piece) == 1 and piece[0] == run[0] and len(run) > 1
        )
        yield Mention(
            tuple(piece),
            0,
            role,
            named,
            located and number == 0,
            determiner if number == 0 else "",
            opens and number == 0,
            number in owners,
            number in acting or (role is Role.USER and number == 0 and last in AUXILIARIES),
        )


def _of(piece: Sequence[str], word: str) -> bool:
    """`Victorian` + `burlesque` is one thing."""
    return (
        bool(_ORIGIN.search(piece[0]))
        and not (len(piece) > 1 and is_name(piece[-1]))
        and not word.endswith(("ed", "ly"))
    )


def _completes(piece: Sequence[str], word: str) -> bool:
    """`the Nano` + `plan` is one thing; `the Pumpkins` + `toured` is not."""
    return not _named(piece) or not word.casefold().endswith(("ed", "ing", "ly"))


def _named(piece: Sequence[str]) -> bool:
    return is_name(piece[0]) and (is_name(piece[-1]) or bool(_ORIGIN.search(piece[0])))
