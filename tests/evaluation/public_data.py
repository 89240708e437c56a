"""The public data sets, where they are: `EVALUATION_DATA`, or `shared/data` beside the checkout. Without them a test is
skipped, or fails when ANSWERDESK_REQUIRE_BACKENDS=1."""

import os
from pathlib import Path

import pytest

from settings import HOUSE


def public_data() -> Path:
    folder = Path(os.environ.get("EVALUATION_DATA") or HOUSE.parent / "shared" / "data")
    if not (folder / "mtrag" / "corpus.jsonl").is_file():
        reason = f"the public data sets are not in {folder} (EVALUATION_DATA)"
        pytest.fail(reason) if os.environ.get("ANSWERDESK_REQUIRE_BACKENDS") == "1" else pytest.skip(reason)
    return folder
