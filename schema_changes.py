"""What changed in schema.graphql since the last release, and whether a break was announced: `python -m schema_changes`.

The base is the last tag; without tags, where this branch left the main one (on the main branch itself, the commit
before). A breaking change fails unless CHANGELOG.md declares it, under `## [Unreleased]` or in a section that the base
did not have yet, with what it changes written as GraphQL's schema coordinates:

    - Breaking: Query.sessions(first:), ChatSession.title – why, and what to use instead

A dangerous change is only told. A `@deprecated` reason fails when it names no date (YYYY-MM-DD), which is the day that
the deprecation began. Where there is no history the comparison is left out, and says so; in CI (`CI` or
`ANSWERDESK_REQUIRE_BACKENDS` is set) that fails if there is a repository.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from graphql import (
    BreakingChange,
    BreakingChangeType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

SCHEMA, CHANGELOG = "schema.graphql", "CHANGELOG.md"
MAIN_BRANCHES = ("origin/main", "main")
MEMBER = re.compile(r"@\w+(?:\(\w+:\))?|\b[A-Za-z_]\w*\.\w+(?:\(\w+:\))?")
"""A coordinate that is more than a type's name."""
DECLARED = re.compile(r"^\s*[-*] Breaking: (.+)$", re.MULTILINE)
COORDINATES = re.compile(r"\s*(@?\w+(?:\.\w+)?(?:\(\w+:\))?)(?![\w.(])\s*(,?)")
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
CI_VARIABLES = ("CI", "ANSWERDESK_REQUIRE_BACKENDS")


class NoBaseError(Exception):
    """There is nothing to compare with. `mendable` says that the history is there, but not here."""

    def __init__(self, why: str, *, mendable: bool) -> None:
        super().__init__(why)
        self.mendable = mendable


@dataclass(frozen=True, slots=True)
class Base:
    """What to compare with, as it was then; an empty `changelog` where there was none."""

    name: str
    schema: str
    changelog: str


def main() -> int:
    folder = Path.cwd()
    schema = build_schema((folder / SCHEMA).read_text("utf-8"))
    failures = [f"{where} is deprecated without a date: {reason!r}" for where, reason in undated_deprecations(schema)]
    try:
        base = find_base(folder)
    except NoBaseError as missing:
        print(f"{SCHEMA} was compared with nothing: {missing}")
        if missing.mendable and any(os.environ.get(name) for name in CI_VARIABLES):
            failures.append("in CI it has to be compared")
    else:
        announced = declared((folder / CHANGELOG).read_text("utf-8"), base.changelog)
        failures += breaks(schema, base, announced)
    for failure in failures:
        print(f"error: {failure}")
    return 1 if failures else 0


def breaks(schema: GraphQLSchema, base: Base, announced: set[str]) -> list[str]:
    """The breaking changes that nobody announced. Prints all that may concern clients."""
    old = build_schema(base.schema)
    dangerous, breaking = find_dangerous_changes(old, schema), find_breaking_changes(old, schema)
    print(f"{SCHEMA} since {base.name}: {len(breaking)} breaking changes, {len(dangerous)} dangerous ones")
    for danger in dangerous:
        print(f"dangerous: {danger.description}")
    failures = []
    for change in breaking:
        where = coordinate(change)
        print(f"breaking: {change.description}")
        if where not in announced:
            failures.append(f"write into {CHANGELOG}, under [Unreleased]: - Breaking: {where} – and why")
    return failures


def coordinate(change: BreakingChange) -> str:
    """What it changes. graphql-core says so in words only, which hold the coordinate of anything but a type."""
    words = change.description.rstrip(".").split()
    if change.type is BreakingChangeType.TYPE_REMOVED_FROM_UNION:
        return words[-1]
    member = MEMBER.search(change.description)
    if member is not None:
        return member.group()
    return words[2] if words[:2] == ["Standard", "scalar"] else words[0]


def declared(changelog: str, before: str = "") -> set[str]:
    """The coordinates that are declared for the next release, or for one that the changelog before did not have."""
    released = set(_sections(before)) - {"Unreleased"}
    found: set[str] = set()
    for version, section in _sections(changelog).items():
        for line in DECLARED.findall(section) if version not in released else ():
            position = 0
            while match := COORDINATES.match(line, position):
                found.add(match.group(1))
                position = match.end()
                if match.group(2) != ",":
                    break
    return found


def _sections(changelog: str) -> dict[str, str]:
    """By the version in their heading."""
    parts = re.split(r"^## \[(.+?)\].*$", changelog, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def undated_deprecations(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Coordinates of what is deprecated without a day, with the reasons that are given."""
    for where, reason in _deprecations(schema):
        found = DATE.search(reason)
        try:
            date.fromisoformat(found.group() if found else "")
        except ValueError:
            yield where, reason


def _deprecations(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    for name, type_ in schema.type_map.items():
        if isinstance(type_, GraphQLEnumType):
            members = [(f"{name}.{value}", entry.deprecation_reason) for value, entry in type_.values.items()]
        elif isinstance(type_, GraphQLInputObjectType):
            members = [(f"{name}.{field}", entry.deprecation_reason) for field, entry in type_.fields.items()]
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            members = [(f"{name}.{field}", entry.deprecation_reason) for field, entry in type_.fields.items()]
            for field, entry in type_.fields.items():
                members += [(f"{name}.{field}({arg}:)", given.deprecation_reason) for arg, given in entry.args.items()]
        else:
            members = []
        yield from ((where, reason) for where, reason in members if reason is not None)
    for directive in schema.directives:
        for arg, given in directive.args.items():
            if given.deprecation_reason is not None:
                yield f"@{directive.name}({arg}:)", given.deprecation_reason


def find_base(folder: Path) -> Base:
    """Raises NoBaseError."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        raise NoBaseError("this is no git repository", mendable=False)
    shallow = _git(folder, "rev-parse", "--is-shallow-repository")
    if shallow is None:
        raise NoBaseError("git cannot read this repository", mendable=True)
    name = _git(folder, "describe", "--tags", "--abbrev=0")
    if name is None and shallow == "true":
        raise NoBaseError("the history is cut off (git fetch --unshallow --tags brings it)", mendable=True)
    name = name or _left_main(folder)
    if name is None:
        raise NoBaseError("there is no earlier commit", mendable=False)
    schema = _git(folder, "show", f"{name}:./{SCHEMA}")
    if schema is None:
        raise NoBaseError(f"{name} has no {SCHEMA}", mendable=False)
    return Base(name, schema, _git(folder, "show", f"{name}:./{CHANGELOG}") or "")


def _left_main(folder: Path) -> str | None:
    """The commit from which this branch goes its own way; on the main branch, the one before the last."""
    head = _git(folder, "rev-parse", "HEAD")
    for branch in MAIN_BRANCHES:
        left = _git(folder, "merge-base", "HEAD", branch)
        if left is not None:
            return left if left != head else _git(folder, "rev-parse", "--verify", "HEAD^")
    return None


def _git(folder: Path, *command: str) -> str | None:
    """What it prints; None when it fails, or is not there."""
    try:
        ended = subprocess.run(["git", *command], cwd=folder, capture_output=True, encoding="utf-8")  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
