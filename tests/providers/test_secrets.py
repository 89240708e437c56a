"""The token secrets: given ones are used, missing ones are made once, whoever asks first and however many ask."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.tokens import TokenSecrets
from providers.secrets import SecretError, token_secrets
from settings import Settings

GIVEN = "a secret that was given, long enough"
OTHER = "another secret which is long enough."
PROGRAM = """
import sys
from pathlib import Path
from providers.secrets import token_secrets
from settings import Settings
sys.stdin.read()
print(*(secret.decode() for secret in (lambda s: (s.signing, s.encryption))(token_secrets(Settings(data_dir=sys.argv[1])))))
"""


def secrets_of(data_dir: Path, signing: str | None = None, encryption: str | None = None) -> TokenSecrets:
    settings = Settings(
        data_dir=data_dir,
        jwt_secret_key=None if signing is None else SecretStr(signing),
        jwt_encryption_key=None if encryption is None else SecretStr(encryption),
    )
    return token_secrets(settings)


def test_given_secrets_are_used_and_nothing_is_kept(tmp_path: Path) -> None:
    found = secrets_of(tmp_path / "data", GIVEN, OTHER)
    assert (found.signing, found.encryption) == (GIVEN.encode(), OTHER.encode())
    assert not (tmp_path / "data").exists()


def test_missing_ones_are_made_once_and_kept_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    made = secrets_of(folder)
    assert len(made.signing) >= 32
    assert len(made.encryption) >= 32
    assert made.signing != made.encryption
    assert secrets_of(folder) == made
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "jwt_secret_key": 0o600,
        "jwt_encryption_key": 0o600,
    }
    assert secrets_of(tmp_path / "elsewhere") != made


def test_one_can_be_given_and_the_other_kept(tmp_path: Path) -> None:
    kept = secrets_of(tmp_path)
    mixed = secrets_of(tmp_path, signing=GIVEN)
    assert (mixed.signing, mixed.encryption) == (GIVEN.encode(), kept.encryption)


def test_a_file_written_by_hand_may_end_with_a_line_end(tmp_path: Path) -> None:
    (tmp_path / "jwt_secret_key").write_text(GIVEN + "\n")
    assert secrets_of(tmp_path).signing == GIVEN.encode()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 31, b" " * 40, b"x" * 31 + b"\n"])
def test_a_short_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwt_encryption_key"
    path.write_bytes(content)
    with pytest.raises(
        SecretError, match=r"jwt_encryption_key holds \d+ bytes, .* at least 32\. Set JWT_ENCRYPTION_KEY"
    ):
        secrets_of(tmp_path, signing=GIVEN)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(SecretError, match=r"data/jwt_secret_key can be neither read nor kept .*: set JWT_SECRET_KEY"):
        secrets_of(tmp_path / "data")


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()  # the starting shot: each waits for it once its imports are done
        worker.stdin = None
    answers = {worker.communicate(timeout=60)[0] for worker in workers}
    assert len(answers) == 1
    assert len(answers.pop().split()) == 2
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["jwt_encryption_key", "jwt_secret_key"]
