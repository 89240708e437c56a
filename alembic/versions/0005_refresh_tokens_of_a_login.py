"""Finding the refresh tokens of a login."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        # A foreign key has an index of its own there, until another one begins with the same column.
        op.execute(
            "ALTER TABLE refresh_tokens ADD INDEX ix_refresh_tokens_login_id (login_id), DROP INDEX fk_refresh_tokens_login_id_logins"
        )
    else:
        op.create_index("ix_refresh_tokens_login_id", "refresh_tokens", ["login_id"])


def downgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        op.execute(
            "ALTER TABLE refresh_tokens ADD INDEX fk_refresh_tokens_login_id_logins (login_id), DROP INDEX ix_refresh_tokens_login_id"
        )
    else:
        op.drop_index("ix_refresh_tokens_login_id", "refresh_tokens")
