"""Messages are not listed by their ids alone any more."""

from alembic import op

revision = "0018"
down_revision = "0017"

NAME = "ix_messages_chat_id_id"


def upgrade() -> None:
    op.drop_index(NAME, "messages")


def downgrade() -> None:
    op.create_index(NAME, "messages", ["chat_id", "id"])
