"""A sample of the public data and of the sample desk's own questions, held to thresholds, as a user would hold it."""

import os
import subprocess
import sys
from pathlib import Path

from settings import HOUSE
from tests.evaluation.public_data import public_data


def test_the_desk_is_as_good_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import cli; cli.main()", "evaluate", str(HOUSE / "tests/evaluation/ci.toml")]
    environment = {  # nothing of coverage, under which it takes more than twice as long: test_evaluate.py is for that
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HOUSE),
        "EVALUATION_DATA": str(public_data()),
        "EMBEDDINGS": "off",
        "COLUMNS": "160",
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1_500)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
