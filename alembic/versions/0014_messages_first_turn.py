"""The turn that first asked a message's question, which orders a conversation. The next but one revision fills it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("messages", sa.Column("first_turn_id", ID, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("messages", "first_turn_id")
