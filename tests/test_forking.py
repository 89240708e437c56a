"""Processes that are forked are processes like others."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.forking import Forked, run

ENVIRONMENT = {"PATH": os.environ["PATH"], "COLOUR": "green"}


def tells() -> None:
    print(os.environ["COLOUR"], Path.cwd(), *sys.argv[1:])
    print("in trouble", file=sys.stderr)


def leaves() -> None:
    sys.exit(int(sys.argv[1]))


def fails() -> None:
    raise ValueError("it fails")


def stays() -> None:
    print("up", flush=True)
    signal.pause()


def inherits() -> None:
    print("server" in sys.modules, len([*Path(f"/proc/{os.getppid()}/task").iterdir()]), sorted(os.environ))


def test_it_has_its_arguments_environment_folder_and_output(tmp_path: Path) -> None:
    told = run("tests.test_forking:tells", ["one", "two"], tmp_path, ENVIRONMENT, 60)
    assert (told.returncode, told.stdout, told.stderr) == (0, f"green {tmp_path} one two\n", "in trouble\n")


def test_its_exit_status_is_seen(tmp_path: Path) -> None:
    assert run("tests.test_forking:leaves", ["3"], tmp_path, ENVIRONMENT, 60).returncode == 3
    failed = run("tests.test_forking:fails", [], tmp_path, ENVIRONMENT, 60)
    assert failed.returncode == 1
    assert "ValueError: it fails" in failed.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Forked("tests.test_forking:stays", [], tmp_path, ENVIRONMENT, log)
    until = time.monotonic() + 60
    while "up" not in (log.read_text("utf-8") if log.exists() else "") and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    assert process.pid != os.getpid()
    process.send_signal(number)
    assert process.wait(60) == -number


def test_its_parent_has_imported_the_product_and_no_thread(tmp_path: Path) -> None:
    """A thread's locks would stay locked in what is forked."""
    told = run("tests.test_forking:inherits", [], tmp_path, ENVIRONMENT, 60)
    assert told.stdout == "True 1 ['COLOUR', 'PATH']\n", told.stderr
