"""Turns that run while the tables change are open, too."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("UPDATE turns SET open_chat_id = running_chat_id WHERE running_chat_id IS NOT NULL")


def downgrade() -> None:
    """The column goes with the revisions before."""
