"""Listing the messages of a chat in the conversation's order, and finding the versions of one."""

from alembic import op

revision = "0017"
down_revision = "0016"

NAME = "ix_messages_chat_id_first_turn_id_id"


def upgrade() -> None:
    op.create_index(NAME, "messages", ["chat_id", "first_turn_id", "id"])


def downgrade() -> None:
    op.drop_index(NAME, "messages")
