"""Alembic's entry: runs migrations on the connection it is handed."""

from alembic import context
from sqlmodel import SQLModel

from firstline.orchestrator.store import access_tables, family_tables, quality_tables, tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    # SQLite cannot alter a column in place.
    render_as_batch=True,
    transaction_per_migration=False,
    compare_type=True,
)
own = (access_tables.TokenRow, family_tables.FamilyRow, quality_tables.AuditRow, tables.JobRow)
assert all(table.metadata is SQLModel.metadata for table in own)
with context.begin_transaction():
    context.run_migrations()
