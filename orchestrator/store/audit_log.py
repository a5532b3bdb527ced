"""Who did what, when, from where."""

from sqlalchemy import Connection, RowMapping, select

from firstline.orchestrator.store.access_tables import AuditLogRow

_log = AuditLogRow.__table__  # type: ignore[attr-defined]


def note(tx: Connection, *, row: AuditLogRow) -> None:
    """Write down what somebody did."""
    tx.execute(_log.insert().values(**row.model_dump(exclude={"id"})))


def latest(tx: Connection, *, limit: int, tenant: str | None = None, before: int | None = None) -> list[RowMapping]:
    """Return what was done last in a tenant, or in all, newest first."""
    query = select(_log).order_by(_log.c.id.desc()).limit(limit)
    query = query if tenant is None else query.where(_log.c.tenant == tenant)
    return list(tx.execute(query if before is None else query.where(_log.c.id < before)).mappings())
