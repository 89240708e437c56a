"""Finding the logins of a user."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        # A foreign key has an index of its own there, until another one begins with the same column.
        op.execute("ALTER TABLE logins ADD INDEX ix_logins_user_id (user_id), DROP INDEX fk_logins_user_id_users")
    else:
        op.create_index("ix_logins_user_id", "logins", ["user_id"])


def downgrade() -> None:
    if op.get_context().dialect.name == "mysql":
        op.execute("ALTER TABLE logins ADD INDEX fk_logins_user_id_users (user_id), DROP INDEX ix_logins_user_id")
    else:
        op.drop_index("ix_logins_user_id", "logins")
