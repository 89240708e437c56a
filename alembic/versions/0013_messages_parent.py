"""What a message was written after: an answer's is its question."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("messages", sa.Column("parent_id", ID, nullable=True))


def downgrade() -> None:
    op.drop_column("messages", "parent_id")
