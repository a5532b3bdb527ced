"""Tunings: what each of them came to."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0011_tunings"
down_revision = "0010_combined_signals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "tuning",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("tenant", "workflow")),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("tuning", schema=None) as batch_op:
        batch_op.create_index("tuning_by_tenant", ["tenant", "id"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("tuning", schema=None) as batch_op:
        batch_op.drop_index("tuning_by_tenant")
    op.drop_table("tuning")
