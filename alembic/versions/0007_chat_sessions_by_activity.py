"""Listing a user's chat sessions, the most recently active first."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        # A foreign key has an index of its own there, until another one begins with the same column.
        op.execute(
            "ALTER TABLE chat_sessions ADD INDEX ix_chat_sessions_user_id_updated_at_id (user_id, updated_at, id), DROP INDEX fk_chat_sessions_user_id_users"
        )
    else:
        op.create_index("ix_chat_sessions_user_id_updated_at_id", "chat_sessions", ["user_id", "updated_at", "id"])


def downgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        op.execute(
            "ALTER TABLE chat_sessions ADD INDEX fk_chat_sessions_user_id_users (user_id), DROP INDEX ix_chat_sessions_user_id_updated_at_id"
        )
    else:
        op.drop_index("ix_chat_sessions_user_id_updated_at_id", "chat_sessions")
