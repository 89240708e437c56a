"""What answers were answered from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("agent", TEXT, nullable=False),
        sa.Column("document_id", TEXT, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=True),
        sa.Column("excerpt", TEXT, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("spans", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "ordinal"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_sources_message_id_messages", ondelete="CASCADE"
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("sources")
