"""The migrations' scripts: where they are, and the newest of them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

ALEMBIC_INI = Path(__file__).resolve().parent.parent / "alembic.ini"


class NotMigratedError(RuntimeError):
    """The tables are not those that this version of the program works with."""


def require_newest(connection: "Connection") -> None:
    """Raises NotMigratedError, which says what to do, unless the database is at the newest revision."""
    from alembic.config import Config  # here, since the command knows the error and not always a database
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    needed = ScriptDirectory.from_config(Config(ALEMBIC_INI)).get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if found != needed:
        raise NotMigratedError(
            f"The database is at revision {found or 'none'}, and this version needs {needed}: run `answerdesk migrate`."
        )
