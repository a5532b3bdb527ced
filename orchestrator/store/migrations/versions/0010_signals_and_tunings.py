"""Signals and tunings: all that was measured of an answer, how a calibration puts it together; what tunings came to."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0010_signals_and_tunings"
down_revision = "0009_judges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("attempt") as table:
        table.add_column(sa.Column("signals", sa.JSON(), nullable=True))
    with op.batch_alter_table("calibration") as table:
        table.add_column(sa.Column("combination", sa.JSON(), nullable=True))
    op.create_table(
        "tuning",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("tenant", "workflow")),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("tuning", schema=None) as table:
        table.create_index("tuning_by_tenant", ["tenant", "id"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("tuning", schema=None) as table:
        table.drop_index("tuning_by_tenant")
    op.drop_table("tuning")
    with op.batch_alter_table("calibration") as table:
        table.drop_column("combination")
    with op.batch_alter_table("attempt") as table:
        table.drop_column("signals")
