"""Finding the running turns whose lease ran out."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("ix_turns_lease_until", "turns", ["lease_until"])


def downgrade() -> None:
    op.drop_index("ix_turns_lease_until", "turns")
