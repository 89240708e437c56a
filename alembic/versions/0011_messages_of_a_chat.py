"""Listing the messages of a chat in order."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        # A foreign key has an index of its own there, until another one begins with the same column.
        op.execute(
            "ALTER TABLE messages ADD INDEX ix_messages_chat_id_id (chat_id, id), DROP INDEX fk_messages_chat_id_chat_sessions"
        )
    else:
        op.create_index("ix_messages_chat_id_id", "messages", ["chat_id", "id"])


def downgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        op.execute(
            "ALTER TABLE messages ADD INDEX fk_messages_chat_id_chat_sessions (chat_id), DROP INDEX ix_messages_chat_id_id"
        )
    else:
        op.drop_index("ix_messages_chat_id_id", "messages")
