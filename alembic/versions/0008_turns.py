"""Turns: one running per chat, and one per client message id."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("id", ID, nullable=False),
        sa.Column("chat_id", ID, nullable=False),
        sa.Column("running_chat_id", ID, nullable=True),
        sa.Column("client_message_id", sa.String(128).with_variant(mysql.VARBINARY(512), "mysql"), nullable=True),
        sa.Column("agents", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("standalone_question", TEXT, nullable=True),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.Column("timeline", TEXT, nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(32), nullable=True),
        sa.Column("error_message", TEXT, nullable=True),
        sa.Column("error_retryable", sa.Boolean(), nullable=True),
        sa.Column("model", TEXT, nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("first_token_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chat_sessions.id"], name="fk_turns_chat_id_chat_sessions", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("chat_id", "client_message_id", name="uq_turns_chat_id_client_message_id"),
        sa.UniqueConstraint("running_chat_id", name="uq_turns_running_chat_id"),
        sqlite_autoincrement=True,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table("turns")
