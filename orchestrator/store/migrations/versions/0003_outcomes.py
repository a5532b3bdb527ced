"""What tiers came to, skill by skill: the measurements that where to start follows from."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0003_outcomes"
down_revision = "0002_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "outcome",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("skill_digest", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("climbed", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.Column("again_asked", sa.Integer(), nullable=False),
        sa.Column("again_accepted", sa.Integer(), nullable=False),
        sa.Column("again_usd", sa.Float(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.create_index("outcome_by_skill", ["tenant", "skill_digest", "model", "id"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.drop_index("outcome_by_skill")
    op.drop_table("outcome")
