"""How long whoever failed a turn asked to be left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("turns", sa.Column("error_retry_after", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("turns", "error_retry_after")
