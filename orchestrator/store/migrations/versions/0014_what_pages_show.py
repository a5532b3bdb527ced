"""A job keeps its breaks, which are no time of its items; a calibration keeps the curve that it was read from."""

import sqlalchemy as sa
from alembic import op

revision = "0014_what_pages_show"
down_revision = "0010_signals_and_tunings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    for name, column in (("job", "breaks"), ("calibration", "curve")):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column(column, sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Go back."""
    for name, column in (("job", "breaks"), ("calibration", "curve")):
        with op.batch_alter_table(name) as table:
            table.drop_column(column)
