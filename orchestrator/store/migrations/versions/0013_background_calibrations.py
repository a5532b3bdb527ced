"""Calibrations that go on in the background: who began them, how far they are, and what came of them."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0013_background_calibrations"
down_revision = "0012_families"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "background_calibration",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "tenant", "workflow", "begun_by", "state")),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("aim", "jobs", "said")),
        *(sa.Column(name, UtcDateTime(), nullable=False) for name in ("begun_at", "heard_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_background_calibration_begun_at", "background_calibration", ["begun_at"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("background_calibration")
