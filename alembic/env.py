"""Alembic's entrance. Run by the `alembic` command it opens the database of settings.py; called by db/migrations.py
it is given a connection. Either way one process migrates at a time: db/migrations.py holds the lock."""

import asyncio
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection

from db.engine import parse_url
from db.migrations import CONNECTION, one_at_a_time, same_type
from db.tables import Row
from settings import Settings


def configure(connection: Connection) -> None:
    """One transaction per revision: SQLite and PostgreSQL undo a step that fails, and MySQL, which cannot, has only
    one statement to a step."""
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        transaction_per_migration=True,
        compare_type=same_type,
    )
    with context.begin_transaction():
        context.run_migrations()


def print_sql() -> None:
    """For `alembic upgrade head --sql`."""
    context.configure(
        dialect_name=parse_url(Settings().database).get_dialect().name,
        target_metadata=Row.metadata,
        transaction_per_migration=True,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get(CONNECTION)
if given is not None:
    configure(given)
else:
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    if context.is_offline_mode():
        print_sql()
    else:
        asyncio.run(one_at_a_time(Settings().database, configure))
