"""Finding the turns of a chat that run or wait."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_index("ix_turns_open_chat_id", "turns", ["open_chat_id"])


def downgrade() -> None:
    op.drop_index("ix_turns_open_chat_id", "turns")
