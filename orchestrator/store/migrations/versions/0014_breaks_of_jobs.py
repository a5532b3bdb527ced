"""A job says from when until when it lay between two runs: its items' times leave that out."""

import sqlalchemy as sa
from alembic import op

revision = "0014_breaks_of_jobs"
down_revision = "0009_judges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("breaks", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("job") as table:
        table.drop_column("breaks")
