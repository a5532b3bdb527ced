"""Contents of items are found within their jobs, audits by how they stand and by what was audited.

An index of all contents there ever were takes a new one anywhere in its order, so that writing items became slower with
every job; behind the job's id they lie together.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014_indexes_by_job"
down_revision = "0013_background_calibrations"
branch_labels = None
depends_on = None

_NEW = (
    ("audit_by_state", "audit", ["state", "job"]),
    ("audit_by_subject", "audit", ["tenant", "skill_digest", "model", "at"]),
)


def upgrade() -> None:
    """Go forward."""
    op.drop_index("ix_item_digest", "item")
    where = sa.text("digest IS NOT NULL")
    op.create_index("item_by_content", "item", ["job", "digest"], sqlite_where=where, postgresql_where=where)
    for name, table, columns in _NEW:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Go back."""
    for name, table, _ in reversed(_NEW):
        op.drop_index(name, table)
    op.drop_index("item_by_content", "item")
    op.create_index("ix_item_digest", "item", ["digest"])
