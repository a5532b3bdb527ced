"""Jobs of large items have smaller shards."""

import sqlalchemy as sa
from alembic import op

revision = "0015_shard_items"
down_revision = "0014_indexes_by_job"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("job", sa.Column("shard_items", sa.Integer(), nullable=False, server_default="200"))


def downgrade() -> None:
    """Go back."""
    op.drop_column("job", "shard_items")
