"""Students: classifiers of jobs' own, as plain arrays."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0007_students"
down_revision = "0006_looks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "student",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("job", "step", "tier", "tenant")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("skill", "skill_digest")),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("labels", "answers", "opening")),
        sa.Column("margins", sa.JSON(), nullable=False),
        sa.Column("wrong", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("margin", sa.Float(), nullable=True),
        sa.Column("max_loss", sa.Float(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("served", "audits", "caught")),
        sa.Column("foreseen", sa.Float(), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.Column("trained_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("student", schema=None) as batch_op:
        batch_op.create_index("student_by_step", ["job", "step", "id"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("student", schema=None) as batch_op:
        batch_op.drop_index("student_by_step")
    op.drop_table("student")
