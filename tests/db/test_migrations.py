"""The migrations make exactly the tables of db/tables.py, one statement at a time, whoever starts them."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, text

from db.migrations import config, one_at_a_time, upgrade
from db.revisions import ALEMBIC_INI
from tests.databases import run

HOUSE = ALEMBIC_INI.parent
REVISIONS = [script.revision for script in ScriptDirectory.from_config(Config(ALEMBIC_INI)).walk_revisions()]
ROWS_ONLY = ("0016", "0021")


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
    def there_and_back(connection: Connection) -> None:
        for revision in reversed(REVISIONS):
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
    """Or none, where rows are changed: SQLite and MySQL cannot undo half a revision."""
    statements: list[str] = []

    def both_ways(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2].strip()))
        command.upgrade(config(connection), "head")
        command.downgrade(config(connection), "base")

    run(one_at_a_time(empty_url, both_ways))
    revisions: list[list[str]] = [[]]
    for statement in statements:
        if "alembic_version" in statement:
            revisions.append([])
        elif statement.split()[0] in ("CREATE", "ALTER", "DROP"):
            revisions[-1].append(statement)
    assert max(map(len, revisions)) == 1
    assert sum(map(len, revisions)) == 2 * (len(REVISIONS) - len(ROWS_ONLY))


def test_conversations_that_are_there_get_their_order(empty_url: str) -> None:
    """Two chats, told in turns."""
    turns: list[dict[str, Any]] = [
        {"turn": 1, "chat": 1, "status": "COMPLETED", "slot": None},
        {"turn": 2, "chat": 2, "status": "COMPLETED", "slot": None},
        {"turn": 3, "chat": 1, "status": "RUNNING", "slot": 1},
    ]
    add_turn = text(
        "INSERT INTO turns (id, chat_id, running_chat_id, agents, status, routes, timeline, created_at) "
        "VALUES (:turn, :chat, :slot, '[]', :status, '[]', '', '2026-11-22')"
    )
    add_message = text(
        "INSERT INTO messages (id, chat_id, turn_id, role, text, rating, created_at) "
        "VALUES (:message, :chat, :turn, :role, '', 'NONE', '2026-11-22')"
    )
    rows: list[tuple[object, ...]] = []

    def grow(connection: Connection) -> None:
        command.upgrade(config(connection), "0012")
        connection.execute(text("INSERT INTO users VALUES (1, 'a', 'a', 'a', 'a', '-', '2026-11-22')"))
        for chat in (1, 2):
            add_chat = "INSERT INTO chat_sessions VALUES (:chat, 1, 't', 't', true, '2026-11-22', '2026-11-22')"
            connection.execute(text(add_chat), {"chat": chat})
        for turn in turns:
            connection.execute(add_turn, turn)
            for message, role in ((2 * turn["turn"] - 1, "USER"), (2 * turn["turn"], "ASSISTANT")):
                connection.execute(add_message, {**turn, "message": message, "role": role})
        connection.commit()
        command.upgrade(config(connection), "head")
        found = connection.exec_driver_sql("SELECT id, parent_id, first_turn_id, superseded FROM messages ORDER BY id")
        rows.extend(tuple(row) for row in found)
        found = connection.exec_driver_sql("SELECT id, open_chat_id FROM turns ORDER BY id")
        rows.extend(tuple(row) for row in found)

    run(one_at_a_time(empty_url, grow))
    assert rows[:6] == [(1, None, 1, 0), (2, 1, 1, 0), (3, None, 2, 0), (4, 3, 2, 0), (5, 2, 3, 0), (6, 5, 3, 0)]
    assert rows[6:] == [(1, None), (2, None), (3, 1)]


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
