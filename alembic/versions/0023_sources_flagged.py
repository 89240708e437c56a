"""Whether something in a passage was withheld from the assistant."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("sources", sa.Column("flagged", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("sources", "flagged")
