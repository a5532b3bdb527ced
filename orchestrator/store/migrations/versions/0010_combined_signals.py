"""Combined signals: all that was measured of an answer, and how a calibration puts it together."""

import sqlalchemy as sa
from alembic import op

revision = "0010_combined_signals"
down_revision = "0009_judges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("attempt") as table:
        table.add_column(sa.Column("signals", sa.JSON(), nullable=True))
    with op.batch_alter_table("calibration") as table:
        table.add_column(sa.Column("combination", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("calibration") as table:
        table.drop_column("combination")
    with op.batch_alter_table("attempt") as table:
        table.drop_column("signals")
