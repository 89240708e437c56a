"""The chat of a turn that has not ended."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("turns", sa.Column("open_chat_id", ID, nullable=True))


def downgrade() -> None:
    op.drop_column("turns", "open_chat_id")
