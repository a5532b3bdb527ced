"""Audits, calibrations and gold know their tenant; sessions, the audit log, and when a token was last used."""

import sqlalchemy as sa
from alembic import op

from firstline.orchestrator.store.types import UtcDateTime

revision = "0004_tenants"
down_revision = "0003_outcomes"
branch_labels = None
depends_on = None

_TENANTS = ("audit", "calibration", "gold")


def upgrade() -> None:
    """Go forward."""
    job = sa.table("job", sa.column("id"), sa.column("tenant"))
    for name in _TENANTS:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("tenant", sa.String(), nullable=False, server_default="default"))
        own = sa.table(name, sa.column("job"), sa.column("tenant"))
        theirs = sa.select(job.c.tenant).where(job.c.id == own.c.job).scalar_subquery()
        op.execute(own.update().values(tenant=sa.func.coalesce(theirs, "default")))
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("request_digest", sa.String(), nullable=True))
    with op.batch_alter_table("token") as table:
        table.add_column(sa.Column("last_used_at", UtcDateTime(), nullable=True))
    op.create_table(
        "session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("session_by_token", "session", ["token"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_log_by_time", "audit_log", ["at"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("audit_log")
    op.drop_table("session")
    with op.batch_alter_table("token") as table:
        table.drop_column("last_used_at")
    with op.batch_alter_table("job") as table:
        table.drop_column("request_digest")
    for name in _TENANTS:
        with op.batch_alter_table(name) as table:
            table.drop_column("tenant")
