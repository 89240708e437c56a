"""A small search engine: Azure's simple query syntax, OData comparisons, BM25 over analyzed words, nearest vectors, and
the fusion of both."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt, ne
from typing import Any

Row = dict[str, Any]
Ranked = list[tuple[float, Row]]
"""Rows with their scores, best first."""

FUSION = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009), as the service has it."""

_WORD = re.compile(r"\w+")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {"eq": eq, "ne": ne, "gt": gt, "ge": ge, "lt": lt, "le": le}
_STRING = r"'((?:[^']|'')*)'"
_CLAUSE = re.compile(rf"(\w+) (eq|ne|gt|ge|lt|le) (?:{_STRING}|(-?\d+)|(null))")
_AND = re.compile(r" and (?=(?:[^']*'[^']*')*[^']*$)")
"""Not within a string."""
_ANY_IN = re.compile(rf"(\w+)/any\((\w+): search\.in\((\w+), {_STRING}(?:, {_STRING})?\)\)")


def analyze(text: str) -> list[str]:
    """Case-folded words without a plural s: what an English analyzer makes of text, roughly."""
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in _WORD.findall(text.lower())]


@dataclass
class SimpleQuery:
    """A parsed query. With searchMode any, each part is one more way to match, the excluded words too."""

    words: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    phrases: list[list[str]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


def parse_simple(text: str) -> SimpleQuery:
    """An operator that is not escaped by a backslash acts: a hyphen before a word, a star after one, quotes round words;
    the others only part words here."""
    query = SimpleQuery()
    for part in _parts(text):
        marked = part.replace("\\", "")
        if part.startswith('"'):
            query.phrases.append(analyze(part.strip('"')))
        elif part.startswith("-"):
            query.excluded += analyze(marked)
        elif part.endswith("*") and not part.endswith("\\*"):
            query.prefixes += analyze(marked)
        else:
            query.words += analyze(marked)
    return query


def _parts(text: str) -> Iterator[str]:
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|(?:\\.|[^\s"+|()\\])+', text, re.DOTALL):
        yield match[0]


def rank(query: SimpleQuery, rows: Sequence[Row], fields: Sequence[str]) -> list[tuple[float, Row]]:
    """The rows that match, with their BM25 scores (k1 = 1.2, b = 0.75), best first."""
    read = [(row, _words(row, fields)) for row in rows]
    average = sum(len(words) for _, words in read) / max(len(read), 1)
    frequency = Counter(word for _, words in read for word in set(words))
    ranked = [(_score(query, words, frequency, len(read), average), row) for row, words in read]
    return sorted((pair for pair in ranked if pair[0] > 0), key=lambda pair: -pair[0])


def nearest(vector: Sequence[float], rows: Sequence[Row], field: str, count: int) -> Ranked:
    """The rows nearest by cosine among those with a vector, all of them compared; scored 1 / (2 - cosine) as the service does."""
    near = [(1 / (2 - _cosine(vector, row[field])), row) for row in rows if row.get(field)]
    return sorted(near, key=lambda pair: -pair[0])[:count]


def fused(rankings: Sequence[Ranked], key: str) -> Ranked:
    """One ranking of several: each row's sum of 1 / (FUSION + its rank)."""
    scores: Counter[str] = Counter()
    rows: dict[str, Row] = {}
    for ranking in rankings:
        for place, (_, row) in enumerate(ranking, 1):
            scores[row[key]] += 1 / (FUSION + place)  # type: ignore[assignment]
            rows[row[key]] = row
    return sorted(((score, rows[name]) for name, score in scores.items()), key=lambda pair: -pair[0])


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    lengths = math.hypot(*one) * math.hypot(*other)
    return product / lengths if lengths else 0.0


def _words(row: Row, fields: Sequence[str]) -> list[str]:
    values = (row.get(name) or "" for name in fields)
    return [word for value in values for word in analyze(value if isinstance(value, str) else " \n ".join(value))]


def _score(query: SimpleQuery, words: list[str], frequency: Mapping[str, int], rows: int, average: float) -> float:
    counts = Counter(words)
    wanted = {*query.words, *(w for w in counts for prefix in query.prefixes if w.startswith(prefix))}
    score = 0.0
    for word in wanted:
        rarity = math.log(1 + (rows - frequency[word] + 0.5) / (frequency[word] + 0.5))
        often = counts[word]
        score += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(words) / average)) if often else 0.0
    score += sum(2.0 for phrase in query.phrases if phrase and _holds(words, phrase))
    return score + sum(1.0 for word in query.excluded if word not in counts)


def _holds(words: list[str], phrase: list[str]) -> bool:
    return any(words[start : start + len(phrase)] == phrase for start in range(len(words)))


def parse_filter(text: str) -> list[tuple[str, Callable[[Row], bool]]]:
    """Comparisons joined by `and`, or whether a collection has any of some strings, each with the field that it reads.
    Raises ValueError for anything else."""
    clauses: list[tuple[str, Callable[[Row], bool]]] = []
    for clause in _AND.split(text):
        if among := _ANY_IN.fullmatch(clause):
            clauses.append((among[1], _any_in(among)))
            continue
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"Invalid expression: {clause}")
        name, operator, string, number, _ = match.groups()
        value = string.replace("''", "'") if string is not None else int(number) if number is not None else None
        clauses.append((name, _clause(name, _COMPARISONS[operator], value)))
    return clauses


def _any_in(match: re.Match[str]) -> Callable[[Row], bool]:
    """`collection/any(x: search.in(x, 'one,other', ','))`: each character of the last is a delimiter, blanks and commas
    unless told. A collection that is null has none."""
    collection, variable, asked, listed, delimiters = match.groups()
    if variable != asked:
        raise ValueError(f"Could not find a property named '{asked}'.")
    parts = "".join("\n" if c in (delimiters or " ,") else c for c in listed.replace("''", "'")).split("\n")
    wanted = set(filter(None, parts))
    return lambda row: bool(wanted & set(row.get(collection) or ()))


def _clause(name: str, holds: Callable[[Any, Any], bool], value: Any) -> Callable[[Row], bool]:
    def test(row: Row) -> bool:
        if row.get(name) is None or value is None:
            return holds in (eq, ne) and holds(row.get(name), value)
        return holds(row[name], value)

    return test
