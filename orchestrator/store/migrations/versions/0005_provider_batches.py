"""Bulks are called provider batches; how often one was to be handed in, whether it failed, how many requests fit."""

import sqlalchemy as sa
from alembic import op

revision = "0005_provider_batches"
down_revision = "0004_tenants"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("bulk") as table:
        table.drop_index("bulk_due")
        table.drop_index(table.f("ix_bulk_job"))
    op.rename_table("bulk", "provider_batch")
    with op.batch_alter_table("provider_batch") as table:
        table.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("failed", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("fits", sa.Integer(), nullable=True))
    with op.batch_alter_table("provider_batch") as table:
        table.create_index("provider_batch_due", ["state", "due_at"])
        table.create_index(table.f("ix_provider_batch_job"), ["job"])
    with op.batch_alter_table("batch") as table:
        table.drop_index(table.f("ix_batch_bulk"))
        table.alter_column("bulk", new_column_name="provider_batch")
    with op.batch_alter_table("batch") as table:
        table.create_index(table.f("ix_batch_provider_batch"), ["provider_batch"])
    op.execute(sa.text("UPDATE batch SET state = 'handed_in' WHERE state = 'bulked'"))


def downgrade() -> None:
    """Go back."""
    op.execute(sa.text("UPDATE batch SET state = 'bulked' WHERE state = 'handed_in'"))
    with op.batch_alter_table("batch") as table:
        table.drop_index(table.f("ix_batch_provider_batch"))
        table.alter_column("provider_batch", new_column_name="bulk")
    with op.batch_alter_table("batch") as table:
        table.create_index(table.f("ix_batch_bulk"), ["bulk"])
    with op.batch_alter_table("provider_batch") as table:
        table.drop_index("provider_batch_due")
        table.drop_index(table.f("ix_provider_batch_job"))
        for name in ("tries", "failed", "fits"):
            table.drop_column(name)
    op.rename_table("provider_batch", "bulk")
    with op.batch_alter_table("bulk") as table:
        table.create_index("bulk_due", ["state", "due_at"])
        table.create_index(table.f("ix_bulk_job"), ["job"])
