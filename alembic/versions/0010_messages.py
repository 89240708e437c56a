"""Messages: one of each role per turn."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0010"
down_revision = "0009"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", ID, nullable=False),
        sa.Column("chat_id", ID, nullable=False),
        sa.Column("turn_id", ID, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("rating", sa.String(16), nullable=False),
        sa.Column("rating_comment", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chat_sessions.id"], name="fk_messages_chat_id_chat_sessions", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name="fk_messages_turn_id_turns", ondelete="CASCADE"),
        sa.UniqueConstraint("turn_id", "role", name="uq_messages_turn_id_role"),
        sqlite_autoincrement=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("messages")
