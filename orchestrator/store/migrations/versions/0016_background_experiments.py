"""Tunings go on in the background as calibrations do; what a tuning was made of, so that it can be applied later."""

import sqlalchemy as sa
from alembic import op

revision = "0016_background_experiments"
down_revision = "0015_shard_items"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    kind = sa.Column("kind", sa.String(), nullable=False, server_default="calibration")
    op.add_column("background_calibration", kind)
    op.add_column("background_calibration", sa.Column("tuning", sa.Integer(), nullable=True))
    op.add_column("tuning", sa.Column("origin", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("tuning", "origin")
    op.execute("DELETE FROM background_calibration WHERE kind <> 'calibration'")
    op.drop_column("background_calibration", "tuning")
    op.drop_column("background_calibration", "kind")
