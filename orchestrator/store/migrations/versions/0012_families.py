"""Families: requests of one prompt and one form of answer, and samples of them."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0012_families"
down_revision = "0011_takeovers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "family",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "tenant", "shape", "model", "profile")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("state", "choice")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("prompt", "why")),
        sa.Column("straight", sa.Text(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("compare", "merged_into")),
        sa.Column("response_format", sa.JSON(), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("requests", "top_calls", "served", "looked")),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("max_loss", "top_usd", "served_usd", "shadow_usd")),
        *(sa.Column(name, UtcDateTime(), nullable=False) for name in ("created_at", "seen_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("family_by_shape", "family", ["shape"])
    op.create_table(
        "family_sample",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("family", "state")),
        sa.Column("messages", sa.JSON(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("jobs", "answers")),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("family_sample_by_state", "family_sample", ["state", "family"])
    op.create_table(
        "passed_on",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("tenant", "day")),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("passed_on")
    op.drop_table("family_sample")
    op.drop_table("family")
