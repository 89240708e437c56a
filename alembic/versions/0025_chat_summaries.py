"""Notes of what left the window of long chats."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0025"
down_revision = "0024"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    op.create_table(
        "chat_summaries",
        sa.Column("chat_id", ID, nullable=False, autoincrement=False),
        sa.Column("up_to_message_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("chat_id"),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chat_sessions.id"], name="fk_chat_summaries_chat_id_chat_sessions", ondelete="CASCADE"
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("chat_summaries")
