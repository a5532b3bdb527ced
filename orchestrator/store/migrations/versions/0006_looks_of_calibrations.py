"""Which look at a model's answers a calibration was, and when audits found it to hold no more."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0006_looks"
down_revision = "0005_provider_batches"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("calibration") as table:
        table.add_column(sa.Column("look", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("question", sa.String(), nullable=True))
        table.add_column(sa.Column("drifted_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("calibration") as table:
        for name in ("drifted_at", "question", "look"):
            table.drop_column(name)
