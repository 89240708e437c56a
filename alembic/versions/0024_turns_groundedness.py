"""The part of an answer that its sources support."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("turns", sa.Column("groundedness", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("turns", "groundedness")
