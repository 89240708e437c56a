"""The migrations make exactly the tables of db/tables.py, one statement at a time, whoever starts them."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect

from db.migrations import config, one_at_a_time, upgrade
from db.revisions import ALEMBIC_INI
from tests.databases import run

HOUSE = ALEMBIC_INI.parent


def alembic(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The `alembic` command as one types it, in the repository's folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATA_DIR")}
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("alembic")), *arguments],
        cwd=HOUSE,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(connection: Connection) -> None:
    """Raises when the tables differ from db/tables.py."""
    command.check(config(connection))


def tables(url: str) -> set[str]:
    found: set[str] = set()
    run(one_at_a_time(url, lambda connection: found.update(inspect(connection).get_table_names())))
    return found - {"alembic_version"}


def test_the_tables_are_those_of_the_models(empty_url: str) -> None:
    run(asyncio.to_thread(upgrade, empty_url))
    run(one_at_a_time(empty_url, check))


def test_every_step_goes_down_and_up_again(empty_url: str) -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(Config(ALEMBIC_INI)).walk_revisions()]

    def there_and_back(connection: Connection) -> None:
        for revision in reversed(revisions):
            command.upgrade(config(connection), revision)
            command.downgrade(config(connection), "-1")
            command.upgrade(config(connection), revision)

    run(one_at_a_time(empty_url, there_and_back))
    run(one_at_a_time(empty_url, check))
    run(one_at_a_time(empty_url, lambda connection: command.downgrade(config(connection), "base")))
    assert tables(empty_url) == set()
    run(asyncio.to_thread(upgrade, empty_url))
    run(one_at_a_time(empty_url, check))


def test_a_revision_is_one_statement(empty_url: str) -> None:
    """SQLite and MySQL cannot undo half a revision."""
    statements: list[str] = []

    def both_ways(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2].strip()))
        command.upgrade(config(connection), "head")
        command.downgrade(config(connection), "base")

    run(one_at_a_time(empty_url, both_ways))
    ddl = [s for s in statements if s.split()[0] in ("CREATE", "ALTER", "DROP") and "alembic_version" not in s]
    revisions = list(ScriptDirectory.from_config(Config(ALEMBIC_INI)).walk_revisions())
    assert len(ddl) == 2 * len(revisions)


def test_four_processes_at_once(empty_url: str) -> None:
    processes = [alembic("upgrade", "head", DATABASE_URL=empty_url) for _ in range(4)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, "\n".join(outputs)
    assert sum("-> 0001" in output for output in outputs) == 1
    run(one_at_a_time(empty_url, check))


def test_only_one_migrates_at_a_time(empty_url: str) -> None:
    both_are_in = threading.Barrier(2)
    met: list[bool] = []

    def work(_: Connection) -> None:
        with suppress(threading.BrokenBarrierError):
            both_are_in.wait(0.5)
            met.append(True)

    threads = [threading.Thread(target=lambda: asyncio.run(one_at_a_time(empty_url, work))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both_are_in.broken
    assert met == []


def test_a_migration_that_fails_frees_the_lock_and_is_taken_up_again(empty_url: str) -> None:
    def stumble(connection: Connection) -> None:
        command.upgrade(config(connection), "0003")
        raise LookupError

    with pytest.raises(LookupError):
        run(one_at_a_time(empty_url, stumble))
    run(asyncio.to_thread(upgrade, empty_url))
    run(one_at_a_time(empty_url, check))


def test_with_the_default_settings_the_data_folder_is_made(tmp_path: Path) -> None:
    process = alembic("upgrade", "head", DATA_DIR=str(tmp_path / "not" / "there"))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert (tmp_path / "not" / "there" / "answerdesk.sqlite3").exists()
    checked = alembic("check", DATA_DIR=str(tmp_path / "not" / "there"))
    output, _ = checked.communicate(timeout=60)
    assert checked.returncode == 0, output


def test_the_sql_can_be_printed_without_a_database() -> None:
    process = alembic("upgrade", "head", "--sql", DATABASE_URL="mysql://nobody@127.0.0.1:1/nothing")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "CREATE TABLE chat_sessions" in output


def test_migrating_leaves_logging_alone(empty_url: str) -> None:
    mine = logging.getLogger("tests.of.mine")
    before = (list(logging.root.handlers), logging.root.level)
    run(asyncio.to_thread(upgrade, empty_url))
    assert not mine.disabled
    assert (list(logging.root.handlers), logging.root.level) == before


def test_the_command_disables_no_logger(tmp_path: Path) -> None:
    program = (
        "import logging; mine = logging.getLogger('mine')\n"
        "from alembic.config import main; main(argv=['upgrade', 'head'])\n"
        "assert not mine.disabled"
    )
    environment = os.environ | {"DATA_DIR": str(tmp_path)}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HOUSE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
