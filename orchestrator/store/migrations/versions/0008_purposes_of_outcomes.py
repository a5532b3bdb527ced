"""What jobs measured beside those in earnest is history as well, and told apart."""

import sqlalchemy as sa
from alembic import op

revision = "0008_purposes_of_outcomes"
down_revision = "0007_students"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("outcome") as table:
        table.add_column(sa.Column("purpose", sa.String(), nullable=False, server_default="run"))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("outcome") as table:
        table.drop_column("purpose")
