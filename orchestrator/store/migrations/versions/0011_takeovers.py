"""What answers are taken over by, a job's breaks and a calibration's curve.

Answers of earlier jobs are found by what a job's answers and an item's content are known by. A job's breaks are no
time of its items; a calibration keeps the curve that it was read from.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011_takeovers"
down_revision = "0010_signals_and_tunings"
branch_labels = None
depends_on = None

_LISTS = (("job", "breaks"), ("calibration", "curve"))


def upgrade() -> None:
    """Go forward."""
    for name, column in _LISTS:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column(column, sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("recipe", sa.String(), nullable=True))
        table.create_index("ix_job_recipe", ["recipe"])
    with op.batch_alter_table("item") as table:
        table.add_column(sa.Column("digest", sa.String(), nullable=True))
        table.add_column(sa.Column("taken_from", sa.String(), nullable=True))
        table.add_column(sa.Column("saved_usd", sa.Float(), nullable=True))
        table.add_column(sa.Column("confidence", sa.Float(), nullable=True))
        table.create_index("ix_item_digest", ["digest"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("item") as table:
        table.drop_index("ix_item_digest")
        for name in ("confidence", "saved_usd", "taken_from", "digest"):
            table.drop_column(name)
    with op.batch_alter_table("job") as table:
        table.drop_index("ix_job_recipe")
        table.drop_column("recipe")
    for name, column in _LISTS:
        with op.batch_alter_table(name) as table:
            table.drop_column(column)
