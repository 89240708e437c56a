"""The two secrets of the tokens: given, or made once and kept in the data folder, one file each (mode 0600)."""

import os
import secrets
import tempfile
from pathlib import Path

from pydantic import SecretStr

from domain.tokens import TokenSecrets
from settings import MIN_SECRET_BYTES, Settings


class SecretError(ValueError):
    """A kept secret is too short, or can be neither read nor kept. The message says what to do; it never holds the secret."""


def token_secrets(settings: Settings) -> TokenSecrets:
    """Those in the settings, and for the others what the data folder keeps; a file that is not there yet is made.
    Processes that start at once get the same secrets. Raises SecretError."""
    return TokenSecrets(
        signing=_secret(settings.data_dir, "JWT_SECRET_KEY", settings.jwt_secret_key),
        encryption=_secret(settings.data_dir, "JWT_ENCRYPTION_KEY", settings.jwt_encryption_key),
    )


def _secret(data_dir: Path, variable: str, given: SecretStr | None) -> bytes:
    if given is not None:
        return given.get_secret_value().encode()
    path = data_dir / variable.lower()
    try:
        if not path.exists():
            _keep(path, secrets.token_urlsafe(MIN_SECRET_BYTES * 2).encode())
        kept = path.read_bytes().strip()
    except OSError as error:
        raise SecretError(f"the secret in {path} can be neither read nor kept ({error}): set {variable}") from error
    if len(kept) < MIN_SECRET_BYTES:
        raise SecretError(
            f"{path} holds {len(kept)} bytes, but a secret must have at least {MIN_SECRET_BYTES}. "
            f"Set {variable}, or delete the file to have a new one made, which signs everybody out"
        )
    return kept


def _keep(path: Path, secret: bytes) -> None:
    """Writes the whole file under another name and then gives it its own, which fails when another process was first:
    nobody ever reads half a secret or replaces one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # created with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        Path(draft).unlink()
