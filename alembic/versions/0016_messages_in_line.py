"""Where the messages that are there belong: each turn's question after the answer before it, its answer after it."""

from alembic import op

revision = "0016"
down_revision = "0015"

ORDERED = "UPDATE messages SET first_turn_id = turn_id"
STEPS = (
    ORDERED,
    """UPDATE messages SET parent_id = (
        SELECT asked.id FROM messages AS asked WHERE asked.turn_id = messages.turn_id AND asked.role = 'USER'
    ) WHERE role = 'ASSISTANT'""",
    """UPDATE messages SET parent_id = (
        SELECT MAX(earlier.id) FROM messages AS earlier
        WHERE earlier.chat_id = messages.chat_id AND earlier.id < messages.id
    ) WHERE role = 'USER'""",
)
MYSQL_STEPS = (  # a subquery there may not read the table that it updates
    ORDERED,
    """UPDATE messages AS answer JOIN messages AS asked ON asked.turn_id = answer.turn_id AND asked.role = 'USER'
        SET answer.parent_id = asked.id WHERE answer.role = 'ASSISTANT'""",
    """UPDATE messages AS asked JOIN (
            SELECT id, LAG(id) OVER (PARTITION BY chat_id ORDER BY id) AS parent_id FROM messages
        ) AS follows ON follows.id = asked.id
        SET asked.parent_id = follows.parent_id WHERE asked.role = 'USER'""",
)


def upgrade() -> None:
    for step in MYSQL_STEPS if op.get_context().dialect.name == "mysql" else STEPS:
        op.execute(step)


def downgrade() -> None:
    """The columns go with the revisions before."""
