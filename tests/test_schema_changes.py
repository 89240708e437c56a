"""Breaking changes of the schema are announced, and deprecations dated: on real repositories."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import BreakingChangeType, build_schema, find_breaking_changes

from schema_changes import coordinate, declared, undated_deprecations
from settings import HOUSE

OLD = """\
type Query { a(first: Int): Int b: Int }
"""
NEWER = OLD.replace("b: Int", "b: Int c: Int")
BROKEN = OLD.replace(" b: Int", "")
CHANGELOG = """\
# Changelog

## [Unreleased]
{}
## [0.9.0] - 2026-01-01

### Changed
- Breaking: Query.old, Query.b – was said for another release
"""
IDENTITY = ["-c", "user.name=A", "-c", "user.email=a@example.test", "-c", "init.defaultBranch=main"]


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.write(OLD)

    def write(self, schema: str, announced: str = "") -> None:
        (self.folder / "schema.graphql").write_text(schema, "utf-8")
        (self.folder / "CHANGELOG.md").write_text(CHANGELOG.format(announced), "utf-8")

    def git(self, *command: str) -> None:
        subprocess.run(
            ["git", *IDENTITY, *command],
            cwd=self.folder,
            env=environment(),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def commit(self, schema: str, announced: str = "") -> None:
        self.write(schema, announced)
        self.git("add", ".")
        self.git("commit", "-m", "Change something", "--allow-empty")

    def check(self, **variables: str) -> tuple[int, str]:
        """The exit code, and what was said."""
        ended = subprocess.run(
            [sys.executable, "-m", "schema_changes"],
            cwd=self.folder,
            env=environment(PYTHONPATH=str(HOUSE), **variables),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, ended.stdout


def environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **variables}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "house")


@pytest.fixture
def released(repository: Repository) -> Repository:
    """At its last release."""
    repository.git("init")
    repository.commit(OLD)
    repository.git("tag", "v0.9.0")
    return repository


# ------------------------------------------------------------ against the last release


def test_what_obliges_nobody_passes(released: Repository) -> None:
    assert released.check() == (0, "schema.graphql since v0.9.0: 0 breaking changes, 0 dangerous ones\n")
    released.commit(NEWER)
    assert released.check() == (0, "schema.graphql since v0.9.0: 0 breaking changes, 0 dangerous ones\n")


def test_a_breaking_change_fails_until_the_line_that_is_asked_for_is_written(released: Repository) -> None:
    released.commit(BROKEN)
    code, said = released.check()
    assert code == 1
    assert "breaking: Field Query.b was removed." in said
    line = said.partition("[Unreleased]: ")[2]
    released.write(BROKEN, line)
    assert released.check()[0] == 0


def test_commits_that_are_not_made_yet_count_too(released: Repository) -> None:
    released.write(BROKEN)
    assert released.check()[0] == 1


def test_each_change_has_to_be_declared(released: Repository) -> None:
    both = "type Query { a: Int }"
    released.commit(both, "- Breaking: Query.b – gone\n")
    code, said = released.check()
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith("error")] == [
        "error: write into CHANGELOG.md, under [Unreleased]: - Breaking: Query.a(first:) – and why"
    ]
    released.commit(both, "- Breaking: Query.b, Query.a(first:) – gone\n")
    assert released.check()[0] == 0


def test_the_commit_that_makes_a_release_passes_and_the_next_has_to_announce_anew(released: Repository) -> None:
    released.commit(BROKEN, "\n## [1.0.0] - 2026-02-02\n- Breaking: Query.b – gone\n")
    assert released.check()[0] == 0
    released.git("tag", "v1.0.0")
    released.commit(OLD, "\n## [1.0.0] - 2026-02-02\n- Breaking: Query.b – gone\n")
    released.git("tag", "v1.0.1")
    released.commit(BROKEN, "\n## [1.0.0] - 2026-02-02\n- Breaking: Query.b – gone\n")
    assert released.check()[0] == 1


def test_dangerous_changes_are_told_and_pass(released: Repository) -> None:
    released.commit(OLD.replace("first: Int", "first: Int, last: Int"))
    code, said = released.check()
    assert code == 0
    assert "dangerous: An optional argument Query.a(last:) was added." in said


# ------------------------------------------------------------ without a release


def test_without_tags_a_branch_answers_for_its_own_changes_only(repository: Repository) -> None:
    repository.git("init")
    repository.commit(OLD)
    repository.git("checkout", "-b", "feature")
    repository.commit(OLD)
    repository.git("checkout", "main")
    repository.commit(NEWER)
    repository.git("checkout", "feature")
    assert repository.check()[0] == 0
    repository.commit(BROKEN)
    repository.commit(BROKEN)
    assert repository.check()[0] == 1


def test_on_the_main_branch_the_last_commit_is_looked_at(repository: Repository) -> None:
    repository.git("init")
    repository.commit(OLD)
    assert repository.check(CI="1") == (0, "schema.graphql was compared with nothing: there is no earlier commit\n")
    repository.commit(BROKEN)
    assert repository.check()[0] == 1
    repository.commit(BROKEN, "- Breaking: Query.b – gone\n")
    assert repository.check()[0] == 0


def test_a_base_without_a_schema_is_none(repository: Repository) -> None:
    repository.git("init")
    repository.git("commit", "-m", "Begin", "--allow-empty")
    repository.git("tag", "v0")
    repository.commit(OLD)
    code, said = repository.check(CI="1")
    assert (code, "v0 has no schema.graphql" in said) == (0, True)


# ------------------------------------------------------------ without history


@pytest.mark.parametrize("variable", ["CI", "ANSWERDESK_REQUIRE_BACKENDS"])
def test_a_history_that_is_cut_off_fails_in_ci_only(released: Repository, tmp_path: Path, variable: str) -> None:
    released.git("tag", "-d", "v0.9.0")
    released.commit(OLD)
    released.git("clone", "--depth", "1", released.folder.as_uri(), str(tmp_path / "shallow"))
    released.folder = tmp_path / "shallow"
    code, said = released.check()
    assert (code, "cut off" in said) == (0, True)
    code, said = released.check(**{variable: "1"})
    assert (code, "error: in CI it has to be compared" in said) == (1, True)


def test_a_repository_that_git_cannot_read_fails_in_ci_only(repository: Repository) -> None:
    (repository.folder / ".git").write_text("gitdir: nowhere", "utf-8")
    assert repository.check()[0] == 0
    assert repository.check(CI="1")[0] == 1
    assert repository.check(PATH="")[0] == 0


def test_without_a_repository_nothing_is_compared(repository: Repository) -> None:
    code, said = repository.check(CI="1")
    assert (code, said) == (0, "schema.graphql was compared with nothing: this is no git repository\n")


# ------------------------------------------------------------ coordinates

BASE = """
  directive @d(x: Int) repeatable on FIELD | QUERY
  scalar S
  interface I { i: Int }
  type T implements I { i: Int f(x: Int): Int }
  type O { o: Int }
  union U = T | O
  enum E { A B }
  input N { n: Int }
  type Query { t: T u: U e(n: N): E }
"""
CHANGES = [
    (BreakingChangeType.TYPE_REMOVED, "scalar S", "scalar R", "S"),
    (BreakingChangeType.TYPE_CHANGED_KIND, "scalar S", "enum S { Z }", "S"),
    (BreakingChangeType.TYPE_REMOVED_FROM_UNION, "T | O", "T", "U"),
    (BreakingChangeType.VALUE_REMOVED_FROM_ENUM, "{ A B }", "{ A }", "E.B"),
    (BreakingChangeType.REQUIRED_INPUT_FIELD_ADDED, "n: Int }", "n: Int m: Int! }", "N.m"),
    (BreakingChangeType.IMPLEMENTED_INTERFACE_REMOVED, "T implements I", "T", "T"),
    (BreakingChangeType.FIELD_REMOVED, "u: U ", "", "Query.u"),
    (BreakingChangeType.FIELD_CHANGED_KIND, "o: Int", "o: [Int]", "O.o"),
    (BreakingChangeType.REQUIRED_ARG_ADDED, "f(x: Int)", "f(x: Int, y: Int!)", "T.f(y:)"),
    (BreakingChangeType.ARG_REMOVED, "f(x: Int)", "f", "T.f(x:)"),
    (BreakingChangeType.ARG_CHANGED_KIND, "f(x: Int)", "f(x: Int!)", "T.f(x:)"),
    (BreakingChangeType.DIRECTIVE_REMOVED, "@d(", "@c(", "@d"),
    (BreakingChangeType.DIRECTIVE_ARG_REMOVED, "@d(x: Int)", "@d", "@d(x:)"),
    (BreakingChangeType.REQUIRED_DIRECTIVE_ARG_ADDED, "@d(x: Int)", "@d(x: Int, y: Int!)", "@d(y:)"),
    (BreakingChangeType.DIRECTIVE_REPEATABLE_REMOVED, " repeatable", "", "@d"),
    (BreakingChangeType.DIRECTIVE_LOCATION_REMOVED, " | QUERY", "", "@d"),
]


def test_every_kind_of_breaking_change_is_known() -> None:
    assert [kind for kind, *_ in CHANGES] == list(BreakingChangeType)


@pytest.mark.parametrize(("kind", "before", "after", "expected"), CHANGES, ids=[kind.name for kind, *_ in CHANGES])
def test_a_change_has_the_coordinate_of_what_it_changes(
    kind: BreakingChangeType, before: str, after: str, expected: str
) -> None:
    assert before in BASE
    changes = find_breaking_changes(build_schema(BASE), build_schema(BASE.replace(before, after)))
    assert expected in [coordinate(change) for change in changes if change.type is kind]
    assert expected in declared(f"## [Unreleased]\n- Breaking: X, {expected}, Y.y – why, Z.z\n")


def test_a_declaration_is_a_line_of_the_section_that_is_not_released() -> None:
    text = """## [Unreleased]
### Changed
- Breaking: A.a, @d(x:), B – why, not C.c
* Breaking: D.d
  - Breaking: E.e(f:): a colon does as well
- This is not Breaking: F.f

## [1.0.0] - 2026-01-01
- Breaking: G.g
"""
    assert declared(text, "## [1.0.0] - 2026-01-01\n") == {"A.a", "@d(x:)", "B", "D.d", "E.e(f:)"}
    assert declared(text) >= {"A.a", "G.g"}
    assert declared("") == set()


# ------------------------------------------------------------ deprecations


def test_what_is_deprecated_says_since_when_and_why() -> None:
    schema = build_schema((HOUSE / "schema.graphql").read_text("utf-8"))
    assert list(undated_deprecations(schema)) == []


def test_deprecations_without_a_date_fail_wherever_they_stand(repository: Repository) -> None:
    old = '@deprecated(reason: "Since 2026-13-40")'
    dated = '@deprecated(reason: "Since 2026-11-22: use b")'
    text = f"""
      directive @d(x: Int @deprecated) on FIELD
      enum E {{ A @deprecated B {dated} }}
      input N {{ n: Int {old} m: Int {dated} }}
      interface I {{ i: Int @deprecated }}
      type Query {{ a: Int @deprecated(reason: "old") b(x: Int {old}, y: N, z: Int {dated}): E c: Int {dated} i: I }}
    """
    wrong = {"@d(x:)", "E.A", "N.n", "I.i", "Query.a", "Query.b(x:)"}
    assert {where for where, _ in undated_deprecations(build_schema(text))} == wrong
    repository.write(text)
    code, said = repository.check()
    assert code == 1
    assert "error: Query.a is deprecated without a date: 'old'" in said
