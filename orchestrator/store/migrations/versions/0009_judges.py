"""Judges: how often they are wrong, and the jobs in which audits ask them."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0009_judges"
down_revision = "0008_purposes_of_outcomes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "judge_error",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("tenant", "skill", "skill_digest", "model")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("same", "alarms", "different", "missed")),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("judge_error", schema=None) as batch_op:
        batch_op.create_index("ix_judge_error_skill_digest", ["skill_digest"])
    with op.batch_alter_table("audit") as table:
        table.add_column(sa.Column("judge_job", sa.String(), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("audit") as table:
        table.drop_column("judge_job")
    with op.batch_alter_table("judge_error", schema=None) as batch_op:
        batch_op.drop_index("ix_judge_error_skill_digest")
    op.drop_table("judge_error")
