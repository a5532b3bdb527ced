"""Tunings go on in the background as calibrations do; what a tuning was made of, so that it can be applied later."""

import sqlalchemy as sa
from alembic import op

revision = "0016_background_experiments"
down_revision = "0015_shard_items"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.drop_index("ix_background_calibration_begun_at", "background_calibration")
    op.rename_table("background_calibration", "background_experiment")
    op.create_index("ix_background_experiment_begun_at", "background_experiment", ["begun_at"])
    op.add_column("background_experiment", sa.Column("kind", sa.String(), nullable=False, server_default="calibration"))
    op.add_column("background_experiment", sa.Column("tuning", sa.Integer(), nullable=True))
    op.add_column("tuning", sa.Column("origin", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("tuning", "origin")
    op.execute("DELETE FROM background_experiment WHERE kind <> 'calibration'")
    op.drop_index("ix_background_experiment_begun_at", "background_experiment")
    op.drop_column("background_experiment", "tuning")
    op.drop_column("background_experiment", "kind")
    op.rename_table("background_experiment", "background_calibration")
    op.create_index("ix_background_calibration_begun_at", "background_calibration", ["begun_at"])
