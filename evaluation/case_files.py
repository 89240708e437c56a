"""Reading cases from JSON Lines, in the form of docs/evaluation.md. Every line is checked before anything is asked."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from domain.agents.state import Line
from domain.chunking import chunk
from domain.errors import BadUserInput
from domain.inputs import Inputs
from domain.knowledge import Document
from domain.model import Role
from evaluation.cases import Case, EvaluationError, Place

SHOWN = 20
"""Problems that are told at once."""

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    text: Text


class _Row(BaseModel):
    """One line. `Inputs` looks at the question, as a face would."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    id: Text | None = None
    conversation: Text | None = None
    history: list[_Said] = Field(default_factory=list)
    agents: list[Text] | None = None
    relevant: list[Text] = Field(default_factory=list)
    standalone: Text | None = None
    holds: list[Text | Annotated[list[Text], Field(min_length=1)]] = Field(default_factory=list)
    lacks: list[Text] = Field(default_factory=list)
    answerable: bool | None = None
    tags: list[Text] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KnownDocuments:
    """The documents that cases may name: the headings of each, case-folded, by agent and id."""

    headings: Mapping[str, Mapping[str, frozenset[str]]]

    @classmethod
    def of(cls, documents: Mapping[str, Sequence[Document]]) -> "KnownDocuments":
        return cls({agent: {it.id: _headings(it) for it in found} for agent, found in documents.items()})

    def place(self, written: str, agents: Iterable[str]) -> Place:
        """What `document`, `document#heading`, or either after `agent:`, means. A document without its agent is one of
        `agents`' if they have it, else whoever's has it. Raises ValueError with a sentence."""
        name, _, heading = written.partition("#")
        said, colon, rest = name.partition(":")
        if colon and said in self.headings:
            owners, name = ([said] if rest in self.headings[said] else []), rest
        else:
            everywhere = [agent for agent, known in self.headings.items() if name in known]
            owners = [agent for agent in everywhere if agent in set(agents)] or everywhere
        if not owners:
            raise ValueError(f"there is no document “{name}”")
        if len(owners) > 1:
            raise ValueError(f"“{name}” is a document of {' and of '.join(owners)}: write {owners[0]}:{name}")
        if heading and heading.casefold() not in self.headings[owners[0]][name]:
            raise ValueError(f"“{name}” has no section “{heading}” that is a passage of its own")
        return Place(owners[0], name, heading or None)


def _headings(document: Document) -> frozenset[str]:
    return frozenset(title.casefold() for piece in chunk(document) for title in piece.title_path[1:])


def read_cases(path: Path, known: KnownDocuments) -> list[Case]:
    """Raises EvaluationError with the file, line and field of all that does not fit."""
    problems: list[str] = []
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for number, text in _lines(path):
        try:
            row = _Row.model_validate(_object(text))
            case = _case(row, f"{path.stem}:{number}", known)
        except ValidationError as error:
            problems += [f"{path}:{number}: {told}" for told in _told(error)]
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
        else:
            if case.id in seen:
                problems.append(f"{path}:{number}: id: “{case.id}” is the id of line {seen[case.id]} too")
            seen.setdefault(case.id, number)
            cases.append(case)
    if problems:
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise EvaluationError("\n".join([*problems[:SHOWN], *more]))
    if not cases:
        raise EvaluationError(f"{path}: there is no case in it")
    return cases


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    # str.splitlines would also cut at U+2028, which JSON strings may hold.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("this is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("write one object a line, such as {“question”: “…”}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)}: is there twice")
    return found


def _told(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in one["loc"] if not str(part).startswith(("constrained", "list[")))
        told = {"extra_forbidden": "there is no such field", "missing": "is missing"}.get(one["type"], one["msg"])
        yield f"{place}: {told[:1].lower()}{told[1:]}"


def _case(row: _Row, place: str, known: KnownDocuments) -> Case:
    """Raises ValueError with a sentence that begins with the field."""
    question = _as_asked("question", row.question)
    history = tuple(Line(Role.USER if it.role == "user" else Role.ASSISTANT, it.text) for it in row.history)
    for number, line in enumerate(history):
        if line.role is Role.USER:
            _as_asked(f"history.{number}.text", line.text)
    accepted = None if row.agents is None else _accepted(row.agents, known)
    if accepted == (frozenset(),) and (row.relevant or row.holds or row.answerable):
        raise ValueError("agents: nobody is to be asked, so there is nothing to find and no answer to hold anything")
    owners = {name for names in accepted or () for name in names}
    return Case(
        id=row.id or place,
        group=row.conversation or row.id or place,
        question=question,
        history=history,
        accepted=accepted,
        relevant=tuple(dict.fromkeys(_place(number, it, owners, known) for number, it in enumerate(row.relevant))),
        standalone=None if row.standalone is None else _as_asked("standalone", row.standalone),
        holds=tuple((it,) if isinstance(it, str) else tuple(it) for it in row.holds),
        lacks=tuple(row.lacks),
        answerable=_answerable(row, accepted),
        tags=tuple(dict.fromkeys(row.tags)),
    )


def _as_asked(field: str, text: str) -> str:
    """What the faces would let in. Raises ValueError."""
    inputs = Inputs()
    inputs.message(field, text)
    try:
        inputs.check()
    except BadUserInput as error:
        raise ValueError("; ".join(f"{name}: {told}" for name, told in error.details["fields"].items())) from error
    return text


def _accepted(written: Sequence[str], known: KnownDocuments) -> tuple[frozenset[str], ...]:
    """`["a", "b"]` are both, `["a|b"]` is either of them, `[]` is nobody."""
    choices = [[name.strip() for name in it.split("|")] for it in written]
    for name in (name for names in choices for name in names):
        if name not in known.headings:
            agents = ", ".join(known.headings)
            raise ValueError(f"agents: no agent is called “{name}”; there are {agents}")
    return tuple(dict.fromkeys(frozenset(names) for names in product(*choices)))


def _place(number: int, written: str, owners: Iterable[str], known: KnownDocuments) -> Place:
    try:
        return known.place(written, owners)
    except ValueError as error:
        raise ValueError(f"relevant.{number}: {error}") from error


def _answerable(row: _Row, accepted: tuple[frozenset[str], ...] | None) -> bool | None:
    """As it is said, else as follows from the rest."""
    if row.answerable is not None:
        return row.answerable
    if accepted == (frozenset(),):
        return False
    return True if row.relevant else None
