"""Answers that are taken over from earlier jobs: what a job's answers and an item's content are known by."""

import sqlalchemy as sa
from alembic import op

revision = "0013_takeovers"
down_revision = "0014_what_pages_show"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("recipe", sa.String(), nullable=True))
        table.create_index("ix_job_recipe", ["recipe"])
    with op.batch_alter_table("item") as table:
        table.add_column(sa.Column("digest", sa.String(), nullable=True))
        table.add_column(sa.Column("taken_from", sa.String(), nullable=True))
        table.add_column(sa.Column("saved_usd", sa.Float(), nullable=True))
        table.add_column(sa.Column("confidence", sa.Float(), nullable=True))
        table.create_index("ix_item_digest", ["digest"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("item") as table:
        table.drop_index("ix_item_digest")
        for name in ("confidence", "saved_usd", "taken_from", "digest"):
            table.drop_column(name)
    with op.batch_alter_table("job") as table:
        table.drop_index("ix_job_recipe")
        table.drop_column("recipe")
